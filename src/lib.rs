//! x
pub mod crypto; pub mod facts; pub mod limits; pub mod media; pub mod plaintext; pub mod spool; pub mod verdict;
pub mod engine;
pub mod body; pub mod cache; pub mod policy; pub mod sniff; 
pub mod inspect;
pub mod lifecycle; pub mod telemetry; pub mod upstream;
pub mod http;
pub mod app; pub mod cli; pub mod config; pub mod admin;
