//! clamd's replies, without any socket.
//!
//! Forms are those of clamd 1.4 to `z` commands on a connection of their own: `stream: OK`, `fd[12]: NAME FOUND`,
//! `TEXT ERROR`, each ended by NUL. Whatever differs from them by a byte is a [`ProtocolError`].

use crate::verdict::{Clean, Detection, Verdict};

/// Which command a reply belongs to; clamd names the medium differently in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `zINSTREAM`: the reply names it `stream`.
    Instream,
    /// `zFILDES`: the reply names it `fd[N]` after clamd's own descriptor.
    Fildes,
}

/// What clamd said of the bytes of one scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A statement about the bytes.
    Verdict(Verdict),
    /// `... ERROR`, or one of the messages outside the grammar that announce a failure.
    Error(String),
}

/// The reply is none that clamd gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    /// The connection was closed without one.
    #[error("clamd closed the connection without a reply")]
    Empty,
    /// It has no end.
    #[error("clamd's reply is cut off")]
    CutOff,
    /// A clean reply was followed by more.
    #[error("clamd sent more than one reply")]
    Trailing,
    /// It has another form.
    #[error("clamd's reply is not understood: {0:?}")]
    Unknown(String),
}

/// Reads all that clamd sent on a connection until it closed it.
pub(super) fn parse(received: &[u8], command: Command) -> Result<Reply, ProtocolError> {
    if received.is_empty() {
        return Err(ProtocolError::Empty);
    }
    // `COMMAND READ TIMED OUT` ends in a newline whatever the session.
    let end = received.iter().position(|b| matches!(b, 0 | b'\n')).ok_or(ProtocolError::CutOff)?;
    let (line, rest) = (&received[..end], &received[end..]);
    let reply = parse_line(&String::from_utf8_lossy(line), command)?;
    match reply {
        // A full disk gave an error and then `OK`; who says clean must say nothing else.
        Reply::Verdict(Verdict::Clean(_)) if rest != [0] => Err(ProtocolError::Trailing),
        reply => Ok(reply),
    }
}

fn parse_line(line: &str, command: Command) -> Result<Reply, ProtocolError> {
    let statement = match command {
        Command::Instream => line.strip_prefix("stream: "),
        Command::Fildes => line.strip_prefix("fd[").and_then(strip_descriptor),
    };
    if let Some("OK") = statement {
        #[expect(clippy::disallowed_methods, reason = "this is the exact clean reply to this command")]
        return Ok(Reply::Verdict(Verdict::Clean(Clean::attest())));
    }
    let found = statement.and_then(|text| text.strip_suffix(" FOUND")).filter(|name| !name.is_empty());
    if let Some(name) = found {
        return Ok(Reply::Verdict(classify(name)));
    }
    if line.ends_with(" ERROR") || ["COMMAND READ TIMED OUT", "UNKNOWN COMMAND"].contains(&line) {
        return Ok(Reply::Error(statement.unwrap_or(line).to_owned()));
    }
    Err(ProtocolError::Unknown(line.chars().take(200).collect()))
}

/// `12]: TEXT` gives `TEXT`.
fn strip_descriptor(text: &str) -> Option<&str> {
    let (number, statement) = text.split_once("]: ")?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(statement)
}

/// clamd reports as found what it merely could not look into; those names are no infection.
fn classify(name: &str) -> Verdict {
    let detection = Detection(name.to_owned());
    if name.starts_with("Heuristics.Limits.Exceeded") {
        Verdict::Incomplete { why: detection }
    } else if name.starts_with("Heuristics.Encrypted.") {
        Verdict::Opaque { why: detection }
    } else {
        Verdict::Infected { detection }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(received: &[u8], command: Command) -> &'static str {
        match parse(received, command) {
            Ok(Reply::Verdict(verdict)) => verdict.name(),
            Ok(Reply::Error(_)) => "error",
            Err(_) => "not understood",
        }
    }

    #[test]
    fn each_reply_has_its_meaning() {
        use Command::{Fildes, Instream};
        for (received, command, meaning) in [
            (&b"stream: OK\0"[..], Instream, "clean"),
            (b"fd[12]: OK\0", Fildes, "clean"),
            (b"stream: Eicar-Test-Signature FOUND\0", Instream, "infected"),
            (b"fd[9]: Win.Test.EICAR_HDB-1(44d8:68) FOUND\0", Fildes, "infected"),
            (b"stream: Heuristics.OLE2.ContainsMacros FOUND\0", Instream, "infected"),
            (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", Instream, "incomplete"),
            (b"fd[9]: Heuristics.Limits.Exceeded.EmailLineFoldcnt FOUND\0", Fildes, "incomplete"),
            (b"stream: Heuristics.Encrypted.Zip FOUND\0", Instream, "opaque"),
            (b"INSTREAM size limit exceeded. ERROR\0", Instream, "error"),
            (b"fd[9]: Can't allocate memory ERROR\0", Fildes, "error"),
            (b"COMMAND READ TIMED OUT\n", Instream, "error"),
            (b"UNKNOWN COMMAND\0", Instream, "error"),
            (b"Error writing to temporary file ERROR\0stream: OK\0", Instream, "error"),
            (b"stream: A FOUND\0stream: OK\0", Instream, "infected"),
        ] {
            assert_eq!(name(received, command), meaning, "{}", received.escape_ascii());
        }
    }

    #[test]
    fn nothing_near_the_clean_reply_is_clean() {
        use Command::{Fildes, Instream};
        for (received, command) in [
            (&b""[..], Instream),
            (b"OK\0", Instream),
            (b"stream: OK", Instream),
            (b"stream: OK\n", Instream),
            (b"stream: OK\0\0", Instream),
            (b"stream: OK\0stream: OK\0", Instream),
            (b"stream: OK \0", Instream),
            (b"stream:OK\0", Instream),
            (b"Stream: OK\0", Instream),
            (b"stream: ok\0", Instream),
            (b"1: stream: OK\0", Instream),
            (b"stream: OK FOUND\0", Instream),
            (b"stream: OK ERROR\0", Instream),
            (b"stream: X ERROR OK\0", Instream),
            (b"stream:  FOUND\0", Instream),
            (b"fd[1]: OK\0", Instream),
            (b"stream: OK\0", Fildes),
            (b"fd[]: OK\0", Fildes),
            (b"fd[x]: OK\0", Fildes),
            (b"fd[1: OK\0", Fildes),
            (b"\0stream: OK\0", Instream),
            (b"PONG\0", Instream),
        ] {
            assert_ne!(name(received, command), "clean", "{}", received.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn only_the_exact_reply_is_clean(received in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_ne!(name(&received, Command::Instream), "clean");
            prop_assert_ne!(name(&received, Command::Fildes), "clean");
        }

        #[test]
        fn the_clean_reply_with_one_byte_changed_is_not_clean(at in 0..11_usize, byte: u8) {
            let mut received = *b"stream: OK\0";
            prop_assume!(received[at] != byte);
            received[at] = byte;
            prop_assert_ne!(name(&received, Command::Instream), "clean");
        }
    }
}
