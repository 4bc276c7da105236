//! Signature databases, made by hand.

use sha2::{Digest, Sha256};

/// An unsigned daily database, to be called `daily.cud`: a header of 512 bytes, then a tar archive of which clamd reads
/// names and sizes only. It is what gives clamd's VERSION a number.
pub fn daily_database(version: u32, made: u64, signatures: &str) -> Vec<u8> {
    let signatures = signatures.as_bytes();
    let header = format!("ClamAV-VDB:23 Nov 2026 08-00 +0000:{version}:1:90:X:X:lazaret:{made}");
    let digest = Sha256::digest(signatures).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let info = format!("{header}\ndaily.ndb:{}:{digest}\n", signatures.len());
    let mut file = header.into_bytes();
    file.resize(512, b' ');
    for (name, data) in [("COPYING", &b"x\n"[..]), ("daily.info", info.as_bytes()), ("daily.ndb", signatures)] {
        let mut member = [0; 512];
        member[..name.len()].copy_from_slice(name.as_bytes());
        member[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
        member[156] = b'0';
        file.extend(member);
        file.extend(data);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    file.extend([0; 1024]);
    file
}

/// A line of an `.ndb` file that finds `text` anywhere in any file.
pub fn signature(name: &str, text: &str) -> String {
    let hex = text.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("{name}:0:*:{hex}\n")
}
