//! Follows the bytes of an HTTP/1 connection from head to head.

use httparse::Status;

use super::{
    Heads,
    head::{Framing, Head},
};

/// Longest head of a request, in bytes; Synapse takes lines of 16 KiB.
pub(in crate::http) const MAX_HEAD: usize = 64 * 1024;

/// What HTTP/2 with prior knowledge begins with, up to its first empty line.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Room that is kept for the next head or chunk of a connection, in bytes.
const KEPT_ROOM: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// Bytes of a body that are still to come; never 0.
    Body(u64),
    ChunkSize,
    /// Bytes of a chunk, and its line end, that are still to come; never 0.
    Chunk(u64),
    Trailers,
    /// HTTP/2, or nothing that can be followed.
    Lost,
}

/// Follows the bytes of one connection.
pub(super) struct Follower {
    state: State,
    /// The head, or the line among chunks, that is still incomplete.
    pending: Vec<u8>,
    heads: Heads,
}

impl Follower {
    pub(super) fn new(heads: Heads) -> Self {
        Self { state: State::Head, pending: Vec::new(), heads }
    }

    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let seen = match self.state {
                State::Lost => return,
                State::Body(left) => self.skip(left, bytes, State::Body, State::Head),
                State::Chunk(left) => self.skip(left, bytes, State::Chunk, State::ChunkSize),
                State::Head | State::ChunkSize | State::Trailers => self.see_line(bytes),
            };
            bytes = &bytes[seen..];
        }
    }

    /// Passes over at most `left` bytes and gives their number.
    fn skip(&mut self, left: u64, bytes: &[u8], within: fn(u64) -> State, after: State) -> usize {
        let seen = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - seen as u64;
        self.state = if left == 0 { after } else { within(left) };
        seen
    }

    /// Takes bytes up to the end of a line and gives their number.
    fn see_line(&mut self, bytes: &[u8]) -> usize {
        let feed = bytes.iter().position(|byte| *byte == b'\n');
        let seen = feed.map_or(bytes.len(), |at| at + 1);
        if self.pending.len() + seen > MAX_HEAD {
            self.state = State::Lost;
            self.pending = Vec::new();
            return seen;
        }
        self.pending.extend_from_slice(&bytes[..seen]);
        if feed.is_some() {
            self.end_line();
        }
        seen
    }

    fn end_line(&mut self) {
        let is_empty = matches!(&*self.pending, b"\r\n" | b"\n");
        self.state = match self.state {
            // Empty lines before a head are no part of it, for hyper neither.
            State::Head if is_empty => State::Head,
            State::Head if self.pending.ends_with(b"\n\r\n") || self.pending.ends_with(b"\n\n") => self.end_head(),
            State::Head => return,
            State::ChunkSize => match httparse::parse_chunk_size(&self.pending) {
                Ok(Status::Complete((_, 0))) => State::Trailers,
                Ok(Status::Complete((_, size))) => State::Chunk(size.saturating_add(2)),
                Ok(Status::Partial) | Err(_) => State::Lost,
            },
            State::Trailers if self.pending == b"\r\n" => State::Head,
            State::Trailers if self.pending.ends_with(b"\r\n") => State::Trailers,
            State::Trailers | State::Body(_) | State::Chunk(_) | State::Lost => State::Lost,
        };
        self.pending.clear();
        self.pending.shrink_to(KEPT_ROOM);
    }

    fn end_head(&self) -> State {
        if self.pending == PREFACE {
            return State::Lost;
        }
        let head = Head::read(&self.pending);
        let framing = head.framing;
        self.heads.push(head);
        match framing {
            Ok(Framing::Length(0)) => State::Head,
            Ok(Framing::Length(length)) => State::Body(length),
            Ok(Framing::Chunked) => State::ChunkSize,
            // It is refused, and the connection closed.
            Err(_) => State::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, uri::PathAndQuery};
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// The targets of the heads that were seen, for bytes that come in pieces of `size`.
    fn heads(bytes: &[u8], size: usize) -> (Vec<String>, State) {
        let heads = Heads::default();
        let mut follower = Follower::new(heads.clone());
        bytes.chunks(size).for_each(|piece| follower.see(piece));
        let known = ["/a", "/b", "/c"].map(PathAndQuery::from_static);
        let target = |head: Head| {
            let known = known.iter().find(|target| head.is_of(&Method::POST, Some(target)));
            known.map_or("?".to_owned(), ToString::to_string)
        };
        (std::iter::from_fn(|| heads.next()).map(target).collect(), follower.state)
    }

    const PARTS: &[&str] = &[
        "POST /a HTTP/1.1\r\n",
        "Content-Length: 9\r\n",
        "Transfer-Encoding: chunked\r\n",
        "PRI * HTTP/2.0\r\n",
        "\r\n",
        "\n",
        "\r",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "x",
    ];

    const C: &str = "POST /c HTTP/1.1\r\n\r\n";

    #[test]
    fn every_head_is_seen_however_its_bytes_come() {
        for between in [
            "POST /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.0\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 21\r\n\r\nPOST /x HTTP/1.1\r\n\r\n POST /b HTTP/1.1\r\n\r\n",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nPOST /x HTTP/1.1\r\n\r\n\r\n2 ;e=\"x\"\r\n\r\n\r\n0\r\n\r\n\
             POST /b HTTP/1.1\r\n\r\n",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nPOST: x\r\nX: y\r\n\r\n\r\n\nPOST /b HTTP/1.1\r\n\r\n",
        ] {
            let sent = format!("{between}{C}");
            for size in 1..=sent.len() {
                let seen = heads(sent.as_bytes(), size);
                assert_eq!(
                    seen,
                    (["/a", "/b", "/c"].map(str::to_owned).to_vec(), State::Head),
                    "{between:?} by {size}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_taken_for_a_head_after_what_cannot_be_followed() {
        for begun in [
            "POST /a HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        ] {
            for size in [1, 7, 1000] {
                let seen = heads(format!("{begun}{C}").as_bytes(), size);
                assert_eq!(seen, (vec!["/a".to_owned()], State::Lost), "{begun:?} by {size}");
            }
        }
        assert_eq!(heads(format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{C}").as_bytes(), 5), (vec![], State::Lost));
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_bytes_come_change_nothing(
            parts in vec(select(PARTS), 0..12), size in 1..40_usize
        ) {
            let bytes = parts.concat();
            prop_assert_eq!(heads(bytes.as_bytes(), size), heads(bytes.as_bytes(), usize::MAX));
        }
    }

    #[test]
    fn no_more_is_kept_than_a_head_may_have() {
        let heads = Heads::default();
        let mut follower = Follower::new(heads.clone());
        follower.see(b"GET / HTTP/1.1\r\n");
        for _ in 0..MAX_HEAD {
            follower.see(b"X: y\r\n");
            assert!(follower.pending.len() <= MAX_HEAD);
        }
        assert_eq!((follower.state, follower.pending.capacity()), (State::Lost, 0));
        assert_eq!(heads.next(), None);
    }
}
