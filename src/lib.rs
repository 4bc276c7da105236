//! x
pub mod crypto; pub mod facts; pub mod limits; pub mod media; pub mod plaintext; pub mod spool; pub mod verdict;
pub mod engine;
pub mod body; pub mod cache; pub mod policy; pub mod sniff; 
