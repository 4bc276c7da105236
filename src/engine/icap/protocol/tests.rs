use proptest::prelude::*;

use super::*;

const CLEAN: &[u8] = b"ICAP/1.0 204 Unmodified\r\nServer: x\r\nConnection: keep-alive\r\nISTag: \"CI0001-abc\"\r\n\r\n";

fn head(text: &str) -> Head {
    let text = text.replace('\n', "\r\n") + "\r\n\r\n";
    let (head, len) = parse(text.as_bytes()).unwrap().expect("complete");
    assert_eq!(len, text.len());
    head
}

fn judged(text: &str, page: Option<u16>, extent: Extent) -> Result<Verdict, Unusable> {
    judge(&head(text), page, extent)
}

fn is_clean(outcome: &Result<Verdict, Unusable>) -> bool {
    matches!(outcome, Ok(Verdict::Clean(_)))
}

fn infected(name: &str) -> Verdict {
    Verdict::Infected { detection: Detection(name.to_owned()) }
}

const EXTENTS: [Extent; 3] = [Extent::All, Extent::Preview, Extent::Part];

#[test]
fn no_objection_to_the_whole_medium_is_clean() {
    for text in
        ["ICAP/1.0 204 Unmodified", "ICAP/1.0 204 No Content\nISTag: \"a\"\nEncapsulated: null-body=0", "ICAP/1.0 204 "]
    {
        assert!(is_clean(&judged(text, None, Extent::All)), "{text}");
    }
}

#[test]
fn no_objection_to_a_part_is_not_clean() {
    assert!(matches!(judged("ICAP/1.0 204 OK", None, Extent::Preview), Ok(Verdict::Incomplete { .. })));
    assert_eq!(judged("ICAP/1.0 204 OK", None, Extent::Part), Err(Unusable::Premature));
}

#[test]
fn no_objection_with_something_beside_it_is_not_clean() {
    for text in [
        "ICAP/1.0 204 OK\nEncapsulated: res-hdr=0, res-body=10",
        "ICAP/1.0 204 OK\nEncapsulated: res-hdr=0, null-body=10",
        "ICAP/1.0 204 OK\nEncapsulated: res-body=0",
        "ICAP/1.0 204 OK\nEncapsulated: null-body=1",
        "ICAP/1.0 204 OK\nEncapsulated: ",
        "ICAP/1.0 204 OK\nEncapsulated: null-body=0\nEncapsulated: null-body=0",
        "ICAP/1.0 204 OK\nISTag: \"a\"\nISTag: \"b\"",
    ] {
        assert!(judged(text, None, Extent::All).is_err(), "{text}");
    }
}

#[test]
fn no_other_status_is_clean() {
    for status in (100..=999).filter(|status| *status != 204) {
        for extent in EXTENTS {
            for page in [None, Some(200), Some(204), Some(403), Some(500)] {
                assert!(!is_clean(&judged(&format!("ICAP/1.0 {status} x"), page, extent)), "{status} {page:?}");
            }
        }
    }
}

#[test]
fn what_is_named_is_believed_however_much_was_sent() {
    for extent in EXTENTS {
        for (text, name) in [
            ("ICAP/1.0 200 OK\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar-Test;", "Eicar-Test"),
            ("ICAP/1.0 200 OK\nx-infection-found: type=0;threat=a b", "a b"),
            ("ICAP/1.0 200 OK\nX-Infection-Found: ?", "Unnamed"),
            ("ICAP/1.0 200 OK\nX-Virus-ID: Eicar", "Eicar"),
            ("ICAP/1.0 204 OK\nX-Virus-ID: Eicar", "Eicar"),
            ("ICAP/1.0 403 Forbidden\nX-Virus-ID: Eicar", "Eicar"),
            ("ICAP/1.0 200 OK\nX-Violations-Found: 1\n\t-\n\tEicar\n\t0\n\t0", "Eicar"),
            ("ICAP/1.0 200 OK\nX-Violations-Found: many", "Unnamed"),
        ] {
            assert_eq!(judged(text, Some(403), extent), Ok(infected(name)), "{text}");
        }
    }
}

#[test]
fn what_could_not_be_looked_into_is_no_infection() {
    let found =
        |name: &str, kind| format!("ICAP/1.0 200 OK\nX-Infection-Found: Type={kind}; Resolution=2; Threat={name};");
    let limit = judged(&found("Heuristics.Limits.Exceeded.MaxFiles", 0), None, Extent::All);
    assert!(matches!(limit, Ok(Verdict::Incomplete { .. })));
    for (name, kind) in [("Heuristics.Encrypted.Zip", 0), ("Password protected", 2)] {
        assert!(matches!(judged(&found(name, kind), None, Extent::All), Ok(Verdict::Opaque { .. })), "{name}");
    }
}

#[test]
fn a_page_in_place_of_the_medium_blocks_it_unless_it_is_about_the_server() {
    let text = "ICAP/1.0 200 OK\nEncapsulated: res-hdr=0, res-body=19";
    assert_eq!(judged(text, Some(403), Extent::All), Ok(infected("Blocked")));
    assert_eq!(judged(text, Some(502), Extent::All), Err(Unusable::Page(502)));
}

#[test]
fn a_medium_that_is_returned_was_not_looked_into() {
    for text in [
        "ICAP/1.0 200 OK\nEncapsulated: res-hdr=0, res-body=19\nX-Violations-Found: 0",
        "ICAP/1.0 200 OK\nEncapsulated: req-hdr=0, req-body=19",
        "ICAP/1.0 200 OK",
    ] {
        for page in [None, Some(200), Some(302)] {
            assert!(matches!(judged(text, page, Extent::All), Ok(Verdict::Incomplete { .. })), "{text}");
        }
    }
}

#[test]
fn a_server_with_too_much_to_do_is_busy() {
    assert_eq!(judged("ICAP/1.0 503 Overloaded", None, Extent::All), Err(Unusable::Busy(503)));
    assert_eq!(judged("ICAP/1.0 404 Not found", None, Extent::All), Err(Unusable::Status(404)));
}

#[test]
fn heads_with_two_readings_are_refused() {
    for text in [
        &b"HTTP/1.1 204 OK\r\n\r\n"[..],
        b"ICAP/1.1 204 OK\r\n\r\n",
        b"icap/1.0 204 OK\r\n\r\n",
        b"\r\nICAP/1.0 204 OK\r\n\r\n",
        b" ICAP/1.0 204 OK\r\n\r\n",
        b"ICAP/1.0 0204 OK\r\n\r\n",
        b"ICAP/1.0  204 OK\r\n\r\n",
        b"ICAP/1.0 20 OK\r\n\r\n",
        b"ICAP/1.0 2O4 OK\r\n\r\n",
        b"ICAP/1.0 204 OK\nX: y\r\n\r\n",
        b"ICAP/1.0 204 OK\n\nX: y\r\n\r\n",
        b"ICAP/1.0 204 OK\r\nX: y\rZ: a\r\n\r\n",
        b"ICAP/1.0 204 OK\r\nX : y\r\n\r\n",
        b"ICAP/1.0 204 OK\r\nX\r\n\r\n",
        b"ICAP/1.0 204 OK\r\nX: \0\r\n\r\n",
    ] {
        assert!(parse(text).is_err(), "{}", text.escape_ascii());
    }
}

#[test]
fn a_head_without_end_is_too_long() {
    let endless = [b"ICAP/1.0 204 OK\r\nX: ".as_slice(), &vec![b'a'; 64 * 1024]].concat();
    assert_eq!(parse(&endless), Err(Malformed::TooLong));
    assert_eq!(parse(&[endless.as_slice(), b"\r\n\r\n"].concat()), Err(Malformed::TooLong));
}

#[test]
fn no_beginning_of_a_clean_answer_is_an_answer() {
    for end in 0..CLEAN.len() {
        assert_eq!(parse(&CLEAN[..end]), Ok(None), "{}", CLEAN[..end].escape_ascii());
    }
    assert_eq!(parse(CLEAN).unwrap().unwrap().1, CLEAN.len());
}

#[test]
fn what_follows_a_head_is_left() {
    let both = [CLEAN, b"more"].concat();
    assert_eq!(parse(&both).unwrap().unwrap().1, CLEAN.len());
}

#[test]
fn offers_are_read() {
    let text = "ICAP/1.0 200 OK\nMethods: RESPMOD, REQMOD\nService: C-ICAP\nISTag: \"t\"\nTransfer-Preview: *\n\
                Options-TTL: 3600\nPreview: 1024\nAllow: 204\nMax-Connections: 20\nEncapsulated: null-body=0";
    let read = offer(&head(text), Method::Reqmod).unwrap();
    assert_eq!((read.preview, read.max_connections, read.istag.as_str()), (Some(1024), Some(20), "\"t\""));
    let bare = offer(&head("ICAP/1.0 200 OK\nMethods: RESPMOD\nISTag: t\nAllow: 206, 204"), Method::Respmod).unwrap();
    assert_eq!((bare.preview, bare.max_connections), (None, None));
}

#[test]
fn an_offer_that_clean_cannot_come_of_is_declined() {
    let fine = "ICAP/1.0 200 OK\nMethods: RESPMOD\nISTag: t\nAllow: 204\nTransfer-Ignore: jpg";
    assert!(offer(&head(fine), Method::Respmod).is_ok());
    for (from, to, method) in [
        ("RESPMOD", "REQMOD", Method::Respmod),
        ("RESPMOD", "RESPMOD", Method::Reqmod),
        ("Allow: 204", "Allow: 206", Method::Respmod),
        ("ISTag: t", "X: t", Method::Respmod),
        ("ISTag: t", "ISTag: t\nISTag: u", Method::Respmod),
        ("ignore: jpg", "Ignore: *", Method::Respmod),
        ("200", "404", Method::Respmod),
        ("200", "204", Method::Respmod),
    ] {
        let text = fine.replace("Ignore: jpg", "ignore: jpg").replace(from, to);
        assert!(offer(&head(&text), method).is_err(), "{text}");
    }
}

#[test]
fn what_is_asked_has_its_parts_where_it_says() {
    let address: Address = "icap://scanner:1344/virus_scan?x=y".parse().unwrap();
    for (method, marks) in [(Method::Respmod, ["GET ", "HTTP/1.1 200 OK"]), (Method::Reqmod, ["PUT ", "\r\n\r\n"])] {
        let text = String::from_utf8(scan_request(&address, method, 68, Some(67))).unwrap();
        let (icap, heads) = text.split_once("\r\n\r\n").unwrap();
        assert!(icap.starts_with(&format!("{} icap://scanner:1344/virus_scan?x=y ICAP/1.0\r\n", method.token())));
        assert!(icap.contains("\r\nHost: scanner:1344\r\n") && icap.contains("\r\nAllow: 204\r\nPreview: 67\r\n"));
        let encapsulated = icap.lines().find_map(|line| line.strip_prefix("Encapsulated: ")).unwrap();
        let places: Vec<usize> =
            encapsulated.split(", ").map(|part| part.split_once('=').unwrap().1.parse().unwrap()).collect();
        assert!(heads.starts_with(marks[0]) && heads[places[1]..].starts_with(marks[1]) || method == Method::Reqmod);
        assert_eq!(*places.last().unwrap(), heads.len(), "the body comes right after the heads");
        assert!(heads.ends_with("Content-Length: 68\r\n\r\n"));
    }
}

proptest! {
    #[test]
    fn no_answer_is_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300), field in "\\PC{0,60}") {
        let _ = parse(&bytes);
        let _ = page_status(&bytes);
        let _ = parse(&[b"ICAP/1.0 ".as_slice(), &bytes, b"\r\n\r\n"].concat());
        for name in ["Encapsulated", "X-Infection-Found", "X-Violations-Found", "ISTag", "Preview"] {
            if let Ok(Some((head, _))) = parse(format!("ICAP/1.0 200 OK\r\n{name}: {field}\r\n\r\n").as_bytes()) {
                for extent in EXTENTS {
                    prop_assert!(!is_clean(&judge(&head, None, extent)));
                }
                let _ = offer(&head, Method::Respmod);
            }
        }
    }

    /// Only by what is in a field that is not looked at, or in the words after the number, may a clean answer differ.
    #[test]
    fn a_clean_answer_with_a_byte_changed_is_clean_only_for_its_number(at in 0..CLEAN.len(), byte in any::<u8>()) {
        let mut bytes = CLEAN.to_vec();
        bytes[at] = byte;
        if let Ok(Some((head, _))) = parse(&bytes) {
            let clean = is_clean(&judge(&head, None, Extent::All));
            prop_assert!(!clean || bytes.starts_with(b"ICAP/1.0 204"));
        }
    }
}
