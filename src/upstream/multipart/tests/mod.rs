mod producers;

use proptest::prelude::*;

use super::*;

const CONTENT: &[u8] = b"\x89PNG\r\n\x1a\n\0\0";

fn boundary(content_type: &str) -> Result<Boundary, MultipartError> {
    Boundary::of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())]))
}

/// Feeds a body in pieces of these sizes, over and over; gives its content and the rest.
fn split(boundary: &Boundary, body: &[u8], sizes: &[usize]) -> Result<(Vec<u8>, Parts), MultipartError> {
    let (mut splitter, mut content) = (Splitter::new(boundary), Vec::new());
    let (mut rest, mut sizes) = (body, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        for bytes in splitter.feed(Bytes::copy_from_slice(piece))? {
            content.extend_from_slice(&bytes);
        }
        rest = more;
    }
    splitter.finish().map(|parts| (content, parts))
}

fn whole(body: &[u8]) -> Result<(Vec<u8>, Parts), MultipartError> {
    split(&Boundary("b".to_owned()), body, &[usize::MAX])
}

/// A body of the boundary `b` with these lines between its parts.
fn body(first: &str, second: &str, end: &str) -> Vec<u8> {
    [b"--b", first.as_bytes(), b"\r\n--b", second.as_bytes(), CONTENT, end.as_bytes()].concat()
}

const FIRST: &str = "\r\nContent-Type: application/json\r\n\r\n{}";
const SECOND: &str = "\r\nContent-Type: image/png\r\n\r\n";
const END: &str = "\r\n--b--\r\n";

#[test]
fn boundaries_are_read_quoted_or_not() {
    for (content_type, read) in [
        ("multipart/mixed; boundary=b", "b"),
        ("Multipart/Mixed;BOUNDARY=\"a'+_-.Z9\"", "a'+_-.Z9"),
        ("multipart/mixed; charset=utf-8; boundary=b", "b"),
        (&format!("multipart/mixed; boundary={}", "x".repeat(70)), &"x".repeat(70)),
    ] {
        assert_eq!(boundary(content_type).unwrap().0, read, "{content_type}");
    }
}

#[test]
fn ambiguous_boundaries_are_refused() {
    for content_type in [
        "multipart/mixed",
        "multipart/mixed; boundary=",
        "multipart/mixed; boundary=a; boundary=b",
        "multipart/mixed; boundary=a; Boundary=b",
        "multipart/mixed; boundary=a; boundary*=utf-8''b",
        "multipart/mixed; boundary*0=a",
        "multipart/mixed; boundary=\"a b\"",
        "multipart/mixed; boundary=\"a:b\"",
        "multipart/mixed; boundary=\"a\\b\"",
        &format!("multipart/mixed; boundary={}", "x".repeat(71)),
    ] {
        assert!(matches!(boundary(content_type), Err(MultipartError::Boundary)), "{content_type}");
    }
    for content_type in ["multipart/form-data; boundary=b", "application/json", "", "multipart/mixed; boundary=\"\""] {
        assert!(matches!(boundary(content_type), Err(MultipartError::Type)), "{content_type}");
    }
    let one = HeaderValue::from_static("multipart/mixed; boundary=b");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, one.clone())]);
    headers.append(CONTENT_TYPE, one);
    assert!(matches!(Boundary::of(&headers), Err(MultipartError::Type)));
    assert!(matches!(Boundary::of(&HeaderMap::new()), Err(MultipartError::Type)));
}

#[test]
fn headers_that_readers_take_differently_are_refused() {
    for headers in [
        "Content-Type: image/png\r\nContent-Type: text/html",
        "Content-Disposition: inline\r\ncontent-disposition: attachment",
        "Location: https://a.example\r\nlocation: https://b.example",
        "Content-Type: image/png\r\nContent-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: binary\r\nContent-Transfer-Encoding: quoted-printable",
        "Content-Encoding: gzip",
        "Content-Encoding: identity",
        "Content-Type: image/png\nX: y",
        "Content-Type: image/\rpng",
        "Content-Type: image/\0png",
        "Content-Type: image/png\r\n name=x",
        " Content-Type: image/png",
        "Content-Type : image/png",
        "Content-Type",
        ": image/png",
    ] {
        let refused = whole(&body(FIRST, &format!("\r\n{headers}\r\n\r\n"), END));
        assert!(matches!(refused, Err(MultipartError::Headers)), "{headers:?}: {refused:?}");
        let first = format!("\r\n{headers}{FIRST}");
        assert!(whole(&body(&first, SECOND, END)).is_err(), "{headers:?} in part 1");
    }
    let many = "\r\nX: y".repeat(17) + "\r\n\r\n";
    assert!(matches!(whole(&body(FIRST, &many, END)), Err(MultipartError::Headers)));
    for headers in ["", "Content-Transfer-Encoding: Binary\r\n", "X: y\r\nX: y\r\n"] {
        let body = body(FIRST, &format!("\r\n{headers}\r\n"), END);
        assert_eq!(whole(&body).unwrap().0, CONTENT, "{headers:?}");
    }
}

#[test]
fn a_first_part_that_is_no_json_object_is_refused() {
    for first in [
        "\r\n\r\n{}",
        "\r\nContent-Type: text/plain\r\n\r\n{}",
        "\r\nContent-Type: application/json; charset=utf-8\r\n\r\n{}",
        "\r\nContent-Type: application/json\r\n\r\n",
        "\r\nContent-Type: application/json\r\n\r\n[]",
        "\r\nContent-Type: application/json\r\n\r\n{",
        "\r\nContent-Type: application/json\r\n\r\n{} {}",
        "\r\nContent-Type: application/json\r\nLocation: https://cdn.example.org\r\n\r\n{}",
    ] {
        let refused = whole(&body(first, SECOND, END));
        assert!(matches!(refused, Err(MultipartError::Metadata)), "{first:?}: {refused:?}");
    }
}

#[test]
fn bodies_that_could_be_split_elsewhere_are_refused() {
    let good = body(FIRST, SECOND, END);
    whole(&good).unwrap();
    for (claim, wrong) in [
        ("a preamble", [b"x\r\n", &good[..]].concat()),
        ("two line ends before it", [b"\r\n\r\n", &good[..]].concat()),
        ("a bare line end before it", [b"\n", &good[..]].concat()),
        ("an epilogue", [&good[..], b"x"].concat()),
        ("two line ends after it", [&good[..], b"\r\n"].concat()),
        ("another boundary that begins alike", body("b\r\n", SECOND, END)),
        ("one part", body("--\r\n", SECOND, END)),
        ("an end after the first part", body(FIRST, "--\r\n", END)),
        ("three parts", [&body(FIRST, SECOND, "")[..], b"\r\n--b\r\n\r\nx\r\n--b--\r\n"].concat()),
        ("a delimiter after a bare line end", body(FIRST, SECOND, "\n--b\r\n\r\nx\r\n--b--\r\n")),
        ("a boundary within a line", body(FIRST, SECOND, "x--b\r\n--b--\r\n")),
        ("a boundary that goes on", body(FIRST, SECOND, "\r\n--bc\r\n--b--\r\n")),
        ("a boundary among the headers", body(FIRST, "\r\nX: --b\r\n\r\n", END)),
        ("a boundary as a header", body(FIRST, "\r\n--b: x\r\n\r\n", END)),
        ("no empty line before the end", [b"--b", FIRST.as_bytes(), b"\r\n--b\r\nX: y\r\n\r\n--b--"].concat()),
        ("dashes apart", body(FIRST, SECOND, "\r\n--b --\r\n")),
        ("one dash", body(FIRST, SECOND, "\r\n--b-\r\n")),
        ("a bare line end after the last", body(FIRST, SECOND, "\r\n--b--\n")),
        ("a bare line end after the first", body("\nContent-Type: application/json\r\n\r\n{}", SECOND, END)),
    ] {
        for sizes in [&[usize::MAX][..], &[1], &[3, 5]] {
            let refused = split(&Boundary("b".to_owned()), &wrong, sizes);
            let expected = matches!(refused, Err(MultipartError::Delimiter | MultipartError::Headers));
            assert!(expected, "{claim}: {refused:?}");
        }
    }
}

#[test]
fn every_body_that_is_cut_off_is_refused() {
    let whole_body = body(FIRST, SECOND, "\r\n--b");
    for len in 0..whole_body.len() {
        let refused = whole(&whole_body[..len]);
        assert!(matches!(refused, Err(MultipartError::Truncated)), "{len}: {refused:?}");
    }
    whole(&whole_body).unwrap();
}

#[test]
fn padding_of_delimiters_is_refused() {
    for padded in [
        body(&format!(" {FIRST}"), SECOND, END),
        body(FIRST, &format!("\t{SECOND}"), END),
        body(FIRST, SECOND, "\r\n--b-- \r\n"),
        body(FIRST, SECOND, "\r\n--b "),
    ] {
        assert!(matches!(whole(&padded), Err(MultipartError::Delimiter)));
    }
}

#[test]
fn what_is_around_the_content_is_bounded() {
    let metadata = |len: usize| format!("{FIRST}{}", " ".repeat(len));
    let around = body(FIRST, SECOND, "").len() - CONTENT.len();
    let fits = body(&metadata(MAX_AROUND - around), SECOND, END);
    let endless = body(FIRST, SECOND, &format!("\r\n--b{}", " ".repeat(MAX_AROUND)));
    for sizes in [&[usize::MAX][..], &[1000]] {
        let boundary = Boundary("b".to_owned());
        assert_eq!(split(&boundary, &fits, sizes).unwrap().0, CONTENT);
        for wrong in [body(&metadata(MAX_AROUND - around + 1), SECOND, END), endless.clone()] {
            assert!(matches!(split(&boundary, &wrong, sizes), Err(MultipartError::TooLong)));
        }
    }
}

#[test]
fn an_error_stays() {
    let mut splitter = Splitter::new(&Boundary("b".to_owned()));
    assert!(splitter.feed(Bytes::from_static(b"x")).is_err());
    assert!(matches!(splitter.feed(body(FIRST, SECOND, END).into()).err(), Some(MultipartError::Refused)));
    assert!(matches!(splitter.finish(), Err(MultipartError::Refused)));
}

/// Bytes with much in them that looks like the beginning of a delimiter of `bound-1`.
fn near_delimiters() -> impl Strategy<Value = Vec<u8>> {
    let pieces =
        [&b"\r"[..], b"\n", b"\r\n", b"\r\n-", b"\r\n--", b"--", b"--bound", b"\r\n--bound-", b"bound-1", b"x"];
    let piece = prop_oneof![
        prop::sample::select(pieces.map(<[u8]>::to_vec).to_vec()),
        prop::collection::vec(any::<u8>(), 0..100),
    ];
    let content = prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat());
    content.prop_filter("a real delimiter", |content| memchr::memmem::find(content, b"--bound-1").is_none())
}

proptest! {
    #[test]
    fn however_it_is_cut_the_same_content_comes_out(
        content in near_delimiters(),
        begin in prop::sample::select(vec!["", "\r\n"]),
        end in prop::sample::select(vec!["", "\r\n", "--", "--\r\n"]),
        sizes in prop::collection::vec(1..200_usize, 1..20),
    ) {
        let head = format!("{begin}--bound-1{FIRST}\r\n--bound-1{SECOND}");
        let body = [head.as_bytes(), &content, b"\r\n--bound-1", end.as_bytes()].concat();
        let (split, parts) = split(&Boundary("bound-1".to_owned()), &body, &sizes).unwrap();
        prop_assert_eq!(&split, &content);
        prop_assert_eq!([&parts.prefix, &split[..], &parts.suffix].concat(), body);
    }

    #[test]
    fn however_it_is_cut_the_judgement_is_the_same(
        mut body in near_delimiters().prop_map(|content| {
            let head = format!("--bound-1{FIRST}\r\n--bound-1{SECOND}");
            [head.as_bytes(), &content, b"\r\n--bound-1--\r\n"].concat()
        }),
        changed in any::<prop::sample::Index>(),
        to in prop::sample::select(b"\r\n-b1: {x\0".to_vec()),
        sizes in prop::collection::vec(1..200_usize, 1..20),
    ) {
        let at = changed.index(body.len());
        body[at] = to;
        let boundary = Boundary("bound-1".to_owned());
        let outcome = |sizes: &[usize]| match split(&boundary, &body, sizes) {
            Ok((content, parts)) => Ok((content, parts.prefix, parts.suffix)),
            Err(error) => Err(error.to_string()),
        };
        prop_assert_eq!(outcome(&sizes), outcome(&[usize::MAX]));
    }
}
