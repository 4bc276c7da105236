//! Forms of lines that no fixed text shows.

/// The name at the start, and what follows it.
fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.' | ':')).unwrap_or(text.len());
    text.split_at(end)
}

fn named<'a>(line: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (name, rest) = name(line.strip_prefix(keyword)?);
    (!name.is_empty()).then_some((name, rest))
}

/// `Verb-Noun`, at the start of what is given in lower case.
fn begins_with_cmdlet(text: &str) -> bool {
    const VERBS: [&str; 20] = [
        "add",
        "clear",
        "copy",
        "expand",
        "export",
        "get",
        "import",
        "install",
        "invoke",
        "move",
        "new",
        "out",
        "register",
        "remove",
        "set",
        "start",
        "stop",
        "test",
        "unregister",
        "write",
    ];
    let Some((verb, noun)) = text.split_once('-') else { return false };
    let noun = noun.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    VERBS.contains(&verb) && noun.len() >= 3
}

pub(super) fn is_cmdlet(line: &str) -> bool {
    begins_with_cmdlet(line.trim_start())
}

pub(super) fn is_cmdlet_assigned(line: &str) -> bool {
    let assigned = line.trim_start().strip_prefix('$').and_then(|line| line.split_once('='));
    assigned.is_some_and(|(_, value)| begins_with_cmdlet(value.trim_start_matches([' ', '('])))
}

pub(super) fn is_cmdlet_function(line: &str) -> bool {
    line.trim_start().strip_prefix("function ").is_some_and(begins_with_cmdlet)
}

pub(super) fn is_module_import(line: &str) -> bool {
    line.starts_with("import ") && (line.contains(" from '") || line.contains(" from \""))
}

pub(super) fn is_bare_import(line: &str) -> bool {
    line.strip_prefix("import ").is_some_and(|rest| rest.starts_with(['\'', '"']) && rest.trim_end().ends_with(';'))
}

pub(super) fn is_function(line: &str) -> bool {
    named(line, "function ").is_some_and(|(_, rest)| rest.starts_with('(') && line.trim_end().ends_with('{'))
}

pub(super) fn is_from_import(line: &str) -> bool {
    named(line, "from ").is_some_and(|(_, rest)| rest.trim_start().starts_with("import "))
}

pub(super) fn is_import(line: &str) -> bool {
    let plain = |rest: &str| rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ',' | ' '));
    line.strip_prefix("import ").is_some_and(|rest| {
        !rest.is_empty() && rest.starts_with(|c: char| c.is_lowercase() || c == '_') && plain(rest.trim_end())
    })
}

pub(super) fn is_def(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    named(line, "def ").is_some_and(|(_, rest)| rest.starts_with('(') && (rest.trim_end().ends_with([':', ',', '('])))
}

pub(super) fn is_class(line: &str) -> bool {
    named(line, "class ")
        .is_some_and(|(_, rest)| rest.trim_end() == ":" || rest.starts_with('(') && rest.trim_end().ends_with(':'))
        || named(line, "class ").is_some_and(|(name, rest)| name.ends_with(':') && rest.is_empty())
}

pub(super) fn is_perl_package(line: &str) -> bool {
    let package = named(line, "package ").filter(|(name, _)| !name.contains('.'));
    package.is_some_and(|(name, rest)| {
        matches!(rest.trim_start().chars().next(), Some(';' | '{')) && name.starts_with(|c: char| c.is_uppercase())
    })
}

pub(super) fn is_perl_version(line: &str) -> bool {
    let used = line.strip_prefix("use ").and_then(|rest| rest.strip_suffix(';'));
    used.is_some_and(|used| {
        used.starts_with(|c: char| c.is_ascii_digit() || c == 'v') || used.contains("::") && used.contains(" qw")
    })
}

pub(super) fn is_ruby_require(line: &str) -> bool {
    let required = line.strip_prefix("require '").or_else(|| line.strip_prefix("require \""));
    required.is_some_and(|name| name.trim_end().ends_with(['\'', '"']))
}

pub(super) fn is_ruby_class(line: &str) -> bool {
    named(line.trim_start(), "class ").is_some_and(|(_, rest)| rest.starts_with(" < ") && !rest.contains('{'))
}

pub(super) fn is_ruby_module(line: &str) -> bool {
    let module = named(line.trim_start(), "module ").or_else(|| named(line.trim_start(), "class "));
    module.is_some_and(|(name, rest)| name.starts_with(|c: char| c.is_uppercase()) && rest.trim().is_empty())
}

pub(super) fn is_ruby_def(line: &str) -> bool {
    let def = named(line.trim_start(), "def ");
    def.is_some_and(|(_, rest)| !rest.trim_end().ends_with([':', '{', ',']))
}

pub(super) fn is_lua_local(line: &str) -> bool {
    named(line.trim_start(), "local ").is_some_and(|(_, rest)| rest.starts_with(" = "))
}

pub(super) fn is_lua_function(line: &str) -> bool {
    named(line, "function ").is_some_and(|(_, rest)| rest.starts_with('(') && rest.trim_end().ends_with([')', ']']))
}

pub(super) fn is_tcl_proc(line: &str) -> bool {
    named(line.trim_start(), "proc ").is_some_and(|(_, rest)| rest.starts_with(" {"))
}
