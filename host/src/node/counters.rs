//! What a node's shell counts, beside what the links and the rules count.

use crate::transport::counters::counters;

counters!(
    /// Frames and records that the shell itself had to deal with.
    Counters {
        frames_malformed: "Frames of peers that held no message; each ended its connection.",
        frames_unknown_version: "Frames of peers that held a message of an unknown version.",
        records_written: "State records written and synced.",
        records_failed: "State records that could not be written; no vote left.",
        certificates_not_logged: "Certificates that could not be added to the log.",
        enclave_questions: "Questions put to enclaves.",
        enclave_silences: "Questions that no enclave answered.",
    }
);
