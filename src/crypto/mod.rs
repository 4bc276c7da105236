//! End-to-end encryption as clients use it for media: attachments and the envelopes their keys travel in.

pub mod attachment;
pub mod encoding;
pub mod envelope;
