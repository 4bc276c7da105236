use proptest::prelude::*;

use super::*;
use crate::policy::fact::{Given, TABLE};

fn sheet(values: &[(&str, Value)]) -> Sheet<'static> {
    let named = |(name, value): &(&str, Value)| (Fact::named(name).unwrap().name, value.clone());
    Sheet::Given(Given { values: values.iter().map(named).collect() })
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn known() -> Sheet<'static> {
    sheet(&[
        ("size", Value::Number(1000)),
        ("entropy", Value::Real(7.5)),
        ("group", text("image")),
        ("type", text("image/png")),
        ("declared.name", text("Invoice.PDF.exe")),
        ("macros", Value::Flag(true)),
        ("inside.ratio", Value::Number(150)),
        ("inside.groups", Value::Texts(vec!["text".into(), "script".into()])),
        ("inside.extensions", Value::Texts(vec!["txt".into(), "js".into()])),
        ("verdict.age", Value::Number(86_400)),
    ])
}

fn holds(expression: &str) -> Result<bool, String> {
    let compiled = Expression::compile(expression).unwrap_or_else(|wrong| panic!("{expression}: {wrong}"));
    compiled.holds(&known()).map_err(|error| error.0)
}

#[test]
fn expressions_see_facts() {
    for expression in [
        "size == 1000 && size > 10 && size < 1000.5",
        "entropy > 7 && entropy >= 7.5",
        "group == \"image\" && group != 'script'",
        "group in ['image', 'video']",
        "type.startsWith('image/') && type.contains('/') && !type.endsWith('gif')",
        "inside.ratio > 100 && size > 999",
        "macros",
        "macros == true ? inside.ratio > 1 : false",
        "'script' in inside.groups",
        "inside.groups.exists(g, g == 'script') && !inside.groups.all(g, g == 'script')",
        "inside.extensions.filter(e, e != 'txt') == ['js']",
        "size(inside.extensions) == 2 && inside.extensions.size() == 2",
        "inside.extensions.exists_one(e, e.matches('^j'))",
        "inside.extensions[0] == 'txt'",
        "declared.name.matches('(?i)\\\\.pdf\\\\.[a-z]+$') && matches(type, '^image/')",
        "lower(declared.name).endsWith('.exe') && declared.name.lower() == 'invoice.pdf.exe'",
        "has(inside.ratio) && !has(inside.depth) && known(type) && !known(user)",
        "!has(media.server) || media.server == 'a.org'",
        "verdict.age > 24 * 3600 - 1",
        "double(size) * 1.5 == 1500.0 && int(entropy) == 7 && string(size) == '1000'",
        "inside.groups.exists(g, inside.extensions.exists(e, g == 'script' && e == 'js'))",
        // the other side settles it
        "macros || inside.depth > 3",
    ] {
        assert_eq!(holds(expression), Ok(true), "{expression}");
    }
}

#[test]
fn what_is_not_known_cannot_be_evaluated_and_tells_no_value() {
    for (expression, why) in [
        ("inside.depth > 3", "`inside.depth` is not known here; ask `known(inside.depth)` first"),
        ("user == 'x'", "`user` is not known here; ask `known(user)` first"),
        ("size / (size - 1000) == 1", "it divides by zero"),
        ("size * 9223372036854775807 > 1", "a number becomes too large"),
        ("inside.extensions[7] == 'x'", "a list has fewer values than it asks for"),
        ("int(declared.name) == 1", "it cannot be evaluated"),
        ("has(inside.ratio) ? inside.extensions[0] : true", "it is neither true nor false"),
    ] {
        assert_eq!(holds(expression), Err(why.to_owned()), "{expression}");
    }
    // In CEL itself, `type` is something, whether the fact is known or not.
    let unknown = Expression::compile("type == 'a/b' || group == 'image'").unwrap();
    assert!(unknown.holds(&sheet(&[])).is_err());
    assert!(unknown.facts().iter().map(|fact| fact.name).eq(["type", "group"]));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (expression, offset, told) in [
        ("size > 1 && inside.ration > 2", Some(12), "`inside.ration` is no fact; did you mean `inside.ratio`?"),
        ("siz > 1", Some(0), "`siz` is no fact; did you mean `size`?"),
        ("é == 1", None, ""),
        ("inside == 1", Some(0), "`inside` is no fact"),
        ("group == 'imag'", None, "`group` is never `imag`: there are unknown, empty, text"),
        ("group in ['image', 'vidio']", None, "did you mean `video`?"),
        ("'vidio' in inside.groups", None, "did you mean `video`?"),
        ("inside.groups.exists(g, g == 'imge')", None, "did you mean `image`?"),
        ("size > '10'", None, "a whole number is compared with a text"),
        ("group == 5", None, "a text is compared with a whole number, which is never equal"),
        ("size", None, "this has to be true or false, and is a whole number"),
        ("sha256 == 'a'", Some(0), "`sha256` is not for expressions"),
        ("macros && sizze(type) == 1", None, "there is no function `sizze`; did you mean `size`?"),
        ("type.endswith('x')", None, "there is no function `endswith`; did you mean `endsWith`?"),
        ("type.matches(group)", None, "the pattern of `matches` has to be a text as it is"),
        ("type.matches('(')", None, "this is no regular expression: unclosed group"),
        ("type.matches('(a{1000}){1000}')", None, "this is no regular expression"),
        ("has(size)", None, "for others write `known(size)`"),
        ("'a' in type", None, "`in` looks in lists; for texts write `a.contains(b)`"),
        ("size + 1.5 > 2.0", None, "make both of one kind"),
        ("inside.groups.exists(size, size == 'text')", None, "`size` is the name of something else already"),
        ("inside.groups.exists(g, g.x == 'text')", None, "`g` is a value of a list, and has no parts"),
        ("type.exists(g, g == 'text')", None, "this goes through lists, not through a text"),
        ("1 == 1", None, "this asks for no fact, so it is always the same"),
        ("size >", None, "this is no expression: "),
        ("", None, "this is no expression: "),
        ("{'a': size}.a == 1", None, "only names of facts have dots"),
        ("size > 1u", None, "bytes, null and numbers with `u` are of no use here"),
        (
            "inside.groups.all(a, inside.groups.all(b, inside.groups.all(c, a == b)))",
            None,
            "in one another twice at most",
        ),
        ("type(size) == int", None, "there is no function `type`"),
        (
            "inside.groups.exists(a, inside.types.exists(a, a == 'x'))",
            None,
            "`a` is the name of something else already",
        ),
    ] {
        let wrong = Expression::compile(expression).expect_err(expression);
        assert!(wrong.to_string().contains(told), "{expression}: {wrong}");
        if offset.is_some() {
            assert_eq!(wrong.offset, offset, "{expression}");
        }
    }
}

#[test]
fn hashes_are_known_to_no_expression() {
    assert!(Expression::compile("known(sha256)").is_err());
}

#[test]
fn places_are_counted_in_characters() {
    let wrong = Expression::compile("type == 'é' &&\n  sizze > 1").unwrap_err();
    assert_eq!(wrong.offset, Some(17));
    let wrong = Expression::compile("type == 'é' &&\n  )").unwrap_err();
    assert_eq!(wrong.offset, Some(17), "{wrong}");
}

#[test]
fn expressions_have_bounds_on_length_signs_brackets_and_steps() {
    let list = |times: usize| format!("[{}0]", "0,".repeat(times - 1));
    let steps = |times: usize| format!("{}.all(a, {}.all(b, size > a + b))", list(64), list(times));
    for (bound, fine, wrong, told) in [
        ("length", 4080, 4090, "at most 4096 characters"),
        ("signs", 240, 260, "too many operators and brackets"),
        ("brackets", 40, 81, "too many operators and brackets"),
        ("steps", 64, 65, "this would take too long"),
    ] {
        let expression = |times: usize| match bound {
            "length" => format!("type == '{}'", "x".repeat(times)),
            "signs" => format!("type == '{}'", "&!".repeat(times)),
            "brackets" => format!("type == '{}'", "(".repeat(times)),
            _ => steps(times),
        };
        assert!(Expression::compile(&expression(fine)).is_ok(), "{bound}");
        assert!(Expression::compile(&expression(wrong)).unwrap_err().text.contains(told), "{bound}");
    }
}

#[test]
fn expressions_that_would_take_too_much_are_refused() {
    let long = |part: &str, times: usize| format!("size > 1 && ({})", part.repeat(times));
    let list = |times: usize| format!("[{}0]", "0,".repeat(times));
    let mut hostile = vec![
        "(".repeat(4000),
        "!".repeat(4000) + "macros",
        "-".repeat(4000) + "1 == size",
        "[".repeat(4000),
        "{1:".repeat(1300),
        "size.".repeat(800),
        "has(".repeat(1000),
        "a?".repeat(2000),
        "true?".repeat(700),
        "macros?macros:".repeat(280),
        long("1 + ", 1000),
        "macros||".repeat(500) + "macros",
        "macros&&".repeat(500) + "macros",
        "size==1+".to_owned() + &"1+".repeat(2000) + "1",
        "size".to_owned() + &"[0]".repeat(1000),
        "type".to_owned() + &".lower()".repeat(400),
        "x".repeat(4097),
        format!("{0}.all(a, {0}.all(b, size > a + b))", list(900)),
        "\"\"\"".repeat(1300),
        "\\u0000".repeat(600),
    ];
    for (begin, part, end) in
        [("size==", "1+", "1"), ("", "macros||", "macros"), ("size==", "-", "1"), ("", "!", "macros")]
    {
        for times in [240, 480, 490, 495] {
            hostile.push(format!("{begin}{}{end}", part.repeat(times)));
        }
    }
    for times in [20, 40, 60, 70, 75, 79, 80, 160] {
        hostile.push("inside.groups.exists(a, ".repeat(times) + "true" + &")".repeat(times));
        hostile.push("[0].map(a, ".repeat(times / 2) + "true" + &")".repeat(times / 2));
        hostile.push("(".repeat(times) + "macros" + &")".repeat(times));
        hostile.push("[".repeat(times) + "1" + &"]".repeat(times));
    }
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for expression in hostile {
            if let Ok(compiled) = Expression::compile(&expression) {
                let _ = compiled.holds(&known());
            }
        }
    });
    thread.unwrap().join().unwrap();
}

/// Parts of expressions, put together by the grammar, so that many can be read and some can be evaluated.
fn expressions() -> impl Strategy<Value = String> {
    let facts = prop::sample::select(TABLE.iter().map(|fact| fact.name.to_owned()).collect::<Vec<_>>());
    let literals = prop::sample::select(vec![
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "1e308",
        "'a'",
        "'image'",
        "''",
        "true",
        "false",
        "[]",
        "['a','b']",
        "[1,2.5]",
        "null",
        "1u",
        "b'a'",
        "{}",
        "x",
    ]);
    let leaf = prop_oneof![3 => facts, 2 => literals.prop_map(str::to_owned)];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operators = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in", "?", ".",
        ]);
        let functions =
            prop::sample::select(vec!["size", "int", "double", "string", "lower", "has", "known", "!", "-"]);
        let methods = prop::sample::select(vec![
            "contains",
            "startsWith",
            "endsWith",
            "matches",
            "exists",
            "all",
            "filter",
            "map",
            "exists_one",
        ]);
        prop_oneof![
            4 => (inner.clone(), operators, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            2 => (functions, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            1 => (inner.clone(), methods.clone(), inner.clone()).prop_map(|(a, m, b)| format!("{a}.{m}({b})")),
            1 => (inner.clone(), methods, inner.clone()).prop_map(|(a, m, b)| format!("{a}.{m}(x, {b})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("{a}[{b}]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_expression_panics(expression in expressions()) {
        for expression in [expression.clone(), format!("{expression} == size"), format!("({expression}) && macros")] {
            match Expression::compile(&expression) {
                Ok(compiled) => {
                    let _ = compiled.holds(&known());
                    let _ = compiled.holds(&sheet(&[]));
                }
                Err(wrong) => prop_assert_ne!(wrong.text, UNREADABLE),
            }
        }
    }

    #[test]
    fn no_text_panics(text in "[-a-z0-9 .()\\[\\]{}'\"\\\\?:!&|<>=+*/%,\né]{0,60}") {
        match Expression::compile(&text) {
            Ok(compiled) => drop(compiled.holds(&known())),
            Err(wrong) => prop_assert_ne!(wrong.text, UNREADABLE),
        }
    }
}
