//! What a node's shell counts, beside what the links and the rules count.

use crate::transport::counters::counters;

counters!(
    /// What the node's thread and its shell did.
    Counters {
        elections_certified: "Elections of this node that led to a certificate.",
        elections_too_few_would_vote: "Elections not called since too few voters would have voted.",
        elections_nobody_eligible: "Elections not called since no voter would have led.",
        elections_no_enclave: "Elections not called since no accepted enclave answered.",
        elections_too_few_views: "Elections of this node that failed for want of views.",
        elections_refused_by_enclave: "Elections of this node of which the enclave made no certificate.",
        elections_overtaken: "Elections of this node that another was decided before.",
        elections_own_refusal: "Elections not called since this node itself could not vote.",
        certificates_successor: "Certificates verified and adopted whose leader the one before it named.",
        certificates_incumbent: "Certificates verified and adopted whose leader led already.",
        certificates_policy: "Certificates verified and adopted whose leader the policy picked.",
        leases_gained: "Times that this node began to hold the lease.",
        lease_renewals: "Times that the lease of this node was prolonged.",
        leases_ran_out: "Leases of this node that ran out.",
        leases_stepped_down: "Leases that this node gave up.",
        leases_superseded: "Leases of this node that ended by another's certificate.",
        leases_list_changed: "Leases of this node that ended as an open cluster's list changed.",
        equivocations: "Times that a voter was caught signing twice.",
        frames_malformed: "Frames of peers that held no message; each ended its connection.",
        frames_unknown_version: "Frames of peers that held a message of an unknown version.",
        records_written: "State records written and synced.",
        records_failed: "State records that could not be written; no vote left.",
        certificates_not_logged: "Certificates that could not be added to the log.",
        enclave_questions: "Questions put to enclaves.",
        enclave_silences: "Questions that no enclave answered.",
    }
);
