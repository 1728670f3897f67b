//! What the links count.

use crate::transport::counters::counters;

counters!(
    /// What the links did, and every reason for which something was dropped.
    Counters {
        frames_sent: "Frames written to peers.",
        frames_received: "Frames read from peers.",
        bytes_sent: "Bytes of frames written to peers.",
        bytes_received: "Bytes of frames read from peers.",
        dropped_no_link: "Frames not sent since there was no connection to the peer.",
        dropped_queue_full: "Frames not sent since the peer read too slowly.",
        dropped_too_long: "Frames not sent since they were empty or over the largest size.",
        dropped_link_ended: "Frames not sent since the connection ended before their turn.",
        pauses_rate: "Pauses in reading a peer that sent more frames a second than allowed.",
        pauses_inbox: "Pauses in reading a peer whose received bytes still waited for the node.",
        dials: "Dials begun.",
        dials_failed: "Dials that led to no link.",
        dials_wrong_key: "Dials that found another node's key.",
        dials_turned_away: "Dials whose peer did not let this node in.",
        links_dialled: "Links that came up by this node's dial.",
        links_accepted: "Links that came up by a peer's dial.",
        links_closed: "Links that the peer closed or its system reset.",
        links_silent: "Links closed since nothing passed for too long.",
        links_stalled: "Links closed since a frame did not pass in time.",
        links_bad_frame: "Links closed since the peer broke the framing.",
        links_replaced: "Accepted links closed since their peer connected anew.",
        links_other_end: "Links that ended for another reason.",
        wills_heard: "Last wills taken from peers' supervisors.",
        strangers: "Connections accepted before anybody authenticated on them.",
        strangers_pushed_out: "Connections dropped before they authenticated, to make room for newer ones.",
        refused_not_admitted: "Connections refused since their key is not in the policy.",
        refused_full: "Connections refused since all places for nodes that do not vote were taken.",
        refused_same_key: "Connections refused since they came with this node's own key.",
        refused_too_slow: "Connections dropped since their handshake took too long.",
        refused_left: "Connections whose other side left within the handshake.",
        refused_not_a_node: "Connections dropped since what they said was no handshake of a node.",
        accept_failures: "Failures to accept a connection, for want of descriptors or memory.",
        events_skipped: "Reports of refused connections that the node was too busy to take.",
    }
);
