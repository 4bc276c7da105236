//! Whatever clamd sends, the parser ends, and calls clean the exact clean reply and nothing else.

#![no_main]

use lazaret::{
    engine::clamd::protocol::{Command, ProtocolError, Said, parse, parse_in_session},
    verdict::Verdict,
};
use libfuzzer_sys::fuzz_target;

/// Commands to which no reply is a verdict.
const OTHERS: [Command; 5] =
    [Command::Version, Command::VersionCommands, Command::Stats, Command::Ping, Command::Reload];

/// The clean reply to a stream, written down once more and without any of the parser.
fn is_clean_reply_to_stream(received: &[u8]) -> bool {
    received == [0x73, 0x74, 0x72, 0x65, 0x61, 0x6d, 0x3a, 0x20, 0x4f, 0x4b, 0x00]
}

/// The clean reply to a descriptor: the same with clamd's own number of it.
fn is_clean_reply_to_descriptor(received: &[u8]) -> bool {
    let mut rest = received.iter().copied();
    if !b"fd[".iter().all(|byte| rest.next() == Some(*byte)) {
        return false;
    }
    let digits = rest.clone().take_while(u8::is_ascii_digit).count();
    digits > 0 && rest.skip(digits).eq(*b"]: OK\0")
}

fn is_clean(said: &Result<Said, ProtocolError>) -> bool {
    matches!(said, Ok(Said::Verdict(Verdict::Clean(_))))
}

fuzz_target!(|received: &[u8]| {
    let (stream, descriptor) = (is_clean_reply_to_stream(received), is_clean_reply_to_descriptor(received));
    assert_eq!(is_clean(&parse(received, Command::Instream)), stream);
    assert_eq!(is_clean(&parse(received, Command::Fildes)), descriptor);
    for command in OTHERS {
        assert!(!matches!(parse(received, command), Ok(Said::Verdict(_))));
        assert!(!matches!(parse_in_session(received, command, 1), Ok(Said::Verdict(_))));
    }
    // In a session nothing is clean without its number, and with it nothing that would not be clean alone.
    assert!(!is_clean(&parse_in_session(received, Command::Instream, 1)) || !stream);
    let numbered = [b"1: ", received].concat();
    assert_eq!(is_clean(&parse_in_session(&numbered, Command::Instream, 1)), stream);
    assert!(!is_clean(&parse_in_session(&numbered, Command::Instream, 2)));
});
