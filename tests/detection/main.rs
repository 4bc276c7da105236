//! Prints what `sniff` tells of each file whose path it reads: path, type, group, other types and signs, between tabs.

use std::{
    fs::File,
    io::{self, BufRead, Write},
};

use lazaret::{facts::Facts, sniff};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for path in io::stdin().lock().lines() {
        let path = path?;
        match facts(&path) {
            Ok(facts) => writeln!(out, "{path}\t{}", told(&facts))?,
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
    out.flush()
}

fn facts(path: &str) -> io::Result<Facts> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    sniff::examine(&mut file, size)
}

fn told(facts: &Facts) -> String {
    let signs =
        [("opaque", facts.opaque), ("active", facts.active), ("polyglot", facts.polyglot), ("macros", facts.macros)];
    let signs: Vec<_> = signs.into_iter().filter_map(|(name, holds)| holds.then_some(name)).collect();
    let kind = facts.detected_type.as_deref().unwrap_or("application/octet-stream");
    let trailing = facts.trailing.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    format!("{kind}\t{}\t{}\t{}\t{trailing}", facts.group.name(), facts.other_types.join(","), signs.join(","))
}
