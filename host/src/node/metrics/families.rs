//! Which counters stand together as one metric, by which label. A test sees to it that none is left out.

use crate::metrics::Exposition;
use crate::transport::counters::Count;

/// One metric of one or more counters.
pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
    /// Nothing for a single counter.
    pub label: &'static str,
    /// The label's value and the counter, for each.
    pub values: &'static [(&'static str, &'static str)],
}

const fn family(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: &'static [(&'static str, &'static str)],
) -> Family {
    Family { name, help, label, values }
}

/// What the node's thread, its shell and its links count.
pub const FAMILIES: &[Family] = &[
    family(
        "nitro_elect_node_elections_total",
        "Elections that this node called or wanted to call, by what came of them.",
        "outcome",
        &[
            ("certified", "elections_certified"),
            ("too_few_would_vote", "elections_too_few_would_vote"),
            ("nobody_eligible", "elections_nobody_eligible"),
            ("no_enclave", "elections_no_enclave"),
            ("too_few_views", "elections_too_few_views"),
            ("refused_by_enclave", "elections_refused_by_enclave"),
            ("overtaken", "elections_overtaken"),
            ("own_refusal", "elections_own_refusal"),
        ],
    ),
    family(
        "nitro_elect_node_certificates_verified_total",
        "Certificates verified and adopted, by why the leader was chosen.",
        "reason",
        &[
            ("successor", "certificates_successor"),
            ("incumbent", "certificates_incumbent"),
            ("policy", "certificates_policy"),
        ],
    ),
    family(
        "nitro_elect_node_leases_gained_total",
        "Times that this node began to hold the lease.",
        "",
        &[("", "leases_gained")],
    ),
    family(
        "nitro_elect_node_lease_renewals_total",
        "Times that the lease of this node was prolonged.",
        "",
        &[("", "lease_renewals")],
    ),
    family(
        "nitro_elect_node_leases_lost_total",
        "Leases of this node that ended, by the reason.",
        "reason",
        &[
            ("ran_out", "leases_ran_out"),
            ("stepped_down", "leases_stepped_down"),
            ("superseded", "leases_superseded"),
            ("list_changed", "leases_list_changed"),
        ],
    ),
    family(
        "nitro_elect_node_equivocations_total",
        "Times that a voter was caught signing twice.",
        "",
        &[("", "equivocations")],
    ),
    family(
        "nitro_elect_node_records_total",
        "State records, by whether they were written and synced; after a failure no vote leaves.",
        "outcome",
        &[("written", "records_written"), ("failed", "records_failed")],
    ),
    family(
        "nitro_elect_node_certificates_not_logged_total",
        "Certificates that could not be added to the log.",
        "",
        &[("", "certificates_not_logged")],
    ),
    family(
        "nitro_elect_node_enclave_questions_total",
        "Questions put to enclaves.",
        "",
        &[("", "enclave_questions")],
    ),
    family(
        "nitro_elect_node_enclave_silences_total",
        "Questions that no enclave answered.",
        "",
        &[("", "enclave_silences")],
    ),
    family(
        "nitro_elect_node_frames_refused_total",
        "Frames of peers that held no message, or one of an unknown version.",
        "reason",
        &[("malformed", "frames_malformed"), ("unknown_version", "frames_unknown_version")],
    ),
    family(
        "nitro_elect_node_link_frames_total",
        "Frames that passed between this node and its peers.",
        "direction",
        &[("sent", "frames_sent"), ("received", "frames_received")],
    ),
    family(
        "nitro_elect_node_link_bytes_total",
        "Bytes of frames that passed between this node and its peers.",
        "direction",
        &[("sent", "bytes_sent"), ("received", "bytes_received")],
    ),
    family(
        "nitro_elect_node_link_frames_unsent_total",
        "Frames that were not sent, by the reason.",
        "reason",
        &[
            ("no_link", "dropped_no_link"),
            ("queue_full", "dropped_queue_full"),
            ("too_long", "dropped_too_long"),
            ("link_ended", "dropped_link_ended"),
        ],
    ),
    family(
        "nitro_elect_node_link_pauses_total",
        "Pauses in reading a peer that sent more than allowed, by what there was too much of.",
        "reason",
        &[("frames", "pauses_rate"), ("bytes", "pauses_inbox")],
    ),
    family("nitro_elect_node_dials_total", "Dials of peers begun.", "", &[("", "dials")]),
    family("nitro_elect_node_dials_failed_total", "Dials that led to no link.", "", &[("", "dials_failed")]),
    family(
        "nitro_elect_node_dials_refused_total",
        "Dials among the failed ones that found another key, or did not let this node in.",
        "reason",
        &[("wrong_key", "dials_wrong_key"), ("turned_away", "dials_turned_away")],
    ),
    family(
        "nitro_elect_node_links_total",
        "Links that came up, by which side dialled.",
        "dialled_by",
        &[("node", "links_dialled"), ("peer", "links_accepted")],
    ),
    family(
        "nitro_elect_node_links_ended_total",
        "Links that ended, by the reason.",
        "reason",
        &[
            ("closed", "links_closed"),
            ("silent", "links_silent"),
            ("stalled", "links_stalled"),
            ("bad_frame", "links_bad_frame"),
            ("replaced", "links_replaced"),
            ("other", "links_other_end"),
        ],
    ),
    family(
        "nitro_elect_node_connections_total",
        "Connections of peers accepted, before anybody authenticated on them.",
        "",
        &[("", "strangers")],
    ),
    family(
        "nitro_elect_node_connections_refused_total",
        "Connections of peers that became no link, by the reason.",
        "reason",
        &[
            ("pushed_out", "strangers_pushed_out"),
            ("not_admitted", "refused_not_admitted"),
            ("full", "refused_full"),
            ("same_key", "refused_same_key"),
            ("too_slow", "refused_too_slow"),
            ("left", "refused_left"),
            ("not_a_node", "refused_not_a_node"),
        ],
    ),
    family(
        "nitro_elect_node_wills_heard_total",
        "Last wills of other nodes' supervisors that were taken.",
        "",
        &[("", "wills_heard")],
    ),
    family(
        "nitro_elect_node_accept_failures_total",
        "Failures to accept a connection of a peer, for want of descriptors or memory.",
        "",
        &[("", "accept_failures")],
    ),
    family(
        "nitro_elect_node_link_reports_skipped_total",
        "Reports of refused connections that the node was too busy to take.",
        "",
        &[("", "events_skipped")],
    ),
];

/// What the admin address counts.
pub const HTTP_FAMILIES: &[Family] = &[
    family(
        "nitro_elect_node_http_requests_total",
        "Requests at the admin address, by what they were answered.",
        "outcome",
        &[
            ("answered", "answered"),
            ("not_understood", "not_understood"),
            ("not_allowed", "not_allowed"),
            ("not_found", "not_found"),
            ("not_possible", "not_possible"),
            ("misdirected", "misdirected"),
            ("unavailable", "unavailable"),
        ],
    ),
    family(
        "nitro_elect_node_http_connections_total",
        "Connections accepted at the admin address.",
        "",
        &[("", "connections")],
    ),
    family(
        "nitro_elect_node_http_connections_ended_total",
        "Connections of the admin address that did not end in order: a newcomer needed their place, or they were \
         malformed, slow, or left within a request.",
        "reason",
        &[("pushed_out", "connections_pushed_out"), ("failed", "connections_failed")],
    ),
];

/// Counters that are told as the difference of two: how many there are now.
#[cfg(test)]
pub const DIFFERENCES: [&str; 3] = ["connections_closed", "watchers", "watchers_left"];

/// Adds these families. A counter that is not among the counts, since its part has ended, is 0.
pub fn expose(out: &mut Exposition, families: &[Family], counts: &[Count]) {
    let number =
        |counter: &str| counts.iter().find(|count| count.name == counter).map_or(0, |count| count.value);
    for family in families {
        let values: Vec<(&str, u64)> =
            family.values.iter().map(|(value, counter)| (*value, number(counter))).collect();
        out.counters(family.name, family.help, family.label, &values);
    }
}
