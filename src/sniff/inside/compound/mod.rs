//! OLE2 compound files: office documents as they were before 2007, messages of Outlook, installers; and new documents with a
//! password, which are wrapped in one.

mod binary;
mod chains;

use std::io::{Cursor, Read, Seek};

use self::chains::{Chains, Item};
use super::{
    Opened, Source,
    tally::{HEAD, Tally},
    types,
};

/// Streams whose content is looked at.
const MOST_LOOKED: usize = 256;

/// Bytes of such a stream.
const MOST_HELD: usize = 4 << 20;

/// Root of an installer, and of a patch for one.
const INSTALLERS: [[u8; 4]; 2] = [[0x84, 0x10, 0x0c, 0x00], [0x86, 0x10, 0x0c, 0x00]];

/// Streams that tell what a document is.
const TOLD_BY: [(&str, &str); 9] = [
    ("EncryptedPackage", types::LOCKED),
    ("WordDocument", types::DOC),
    ("Workbook", types::XLS),
    ("Book", types::XLS),
    ("PowerPoint Document", types::PPT),
    ("PP97_DUALSTORAGE", types::PPT),
    ("VisioDocument", types::VSD),
    ("Quill", types::PUB),
    ("__properties_version1.0", types::MSG),
];

/// The end of the name of what was dropped into a document, in lower case: names of streams have no case that matters.
const NATIVE: &str = "ole10native";

/// Storages and streams of VBA.
const VBA: [&str; 4] = ["VBA", "_VBA_PROJECT", "_VBA_PROJECT_CUR", "Macros"];

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    tally.enter(depth);
    let Some(mut chains) = Chains::open(source) else {
        tally.unseen();
        return Opened::default();
    };
    let items = chains.directory();
    let has = |name: &str| items.iter().any(|item| item.name.eq_ignore_ascii_case(name));
    tally.macros |= VBA.iter().any(|name| has(name));
    let refined = match items.first().is_some_and(|root| INSTALLERS.iter().any(|id| root.class.starts_with(id))) {
        true => Some(types::MSI),
        false => TOLD_BY.iter().find(|(name, _)| has(name)).map(|(_, told)| *told),
    };
    let mut locked = has("EncryptedPackage");
    for item in &items {
        let told = binary::told(&mut chains, item);
        locked |= told.locked;
        tally.macros |= told.macros;
        if told.unseen {
            tally.unseen();
        }
    }
    // What is in an installer has no names that tell what it is.
    if refined == Some(types::MSI) || !chains.is_whole() {
        tally.unseen();
    }
    if locked {
        tally.unseen();
    }
    attached(&mut chains, &items, depth, tally);
    Opened { refined, locked, trailing: None }
}

/// Looks at files that were put into a document or message.
fn attached<R: Read + Seek>(chains: &mut Chains<'_, '_, R>, items: &[Item], depth: u8, tally: &mut Tally) {
    let attached = items.iter().filter(|item| item.is_stream && is_attached(&item.name));
    for (count, item) in attached.enumerate() {
        if !tally.list("", item.size) {
            return;
        }
        let bytes = match count < MOST_LOOKED {
            true => chains.content(item, MOST_HELD),
            false => None,
        };
        let Some(bytes) = bytes else {
            tally.unseen();
            continue;
        };
        let (name, content) = match item.name.to_ascii_lowercase().ends_with(NATIVE) {
            true => binary::native(&bytes),
            false => (String::new(), &bytes[..]),
        };
        tally.name(&name);
        if (bytes.len() as u64) < item.size {
            tally.unseen();
        }
        let mut content = tally.metered(Cursor::new(content));
        tally.look(&mut content, None, depth, HEAD);
    }
    for item in items.iter().filter(|item| item.is_stream && item.name.starts_with("__substg1.0_3707001")) {
        let name = chains.content(item, 512).unwrap_or_default();
        tally.name(&binary::wide(&name));
    }
}

fn is_attached(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(NATIVE) || name == "package" || name == "__substg1.0_37010102"
}
