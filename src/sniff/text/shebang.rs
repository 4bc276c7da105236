//! Interpreters that a first line asks for.

/// What the first line of a script asks for; `text/x-shellscript` if it is nothing that is known.
pub(super) fn interpreter(text: &str) -> Option<&'static str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.strip_prefix("#!")?.lines().next().unwrap_or_default();
    let program = |word: &&str| !word.starts_with('-') && !word.contains('=');
    let name = |word: &str| word.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let mut words = line.split_whitespace().filter(program).map(name);
    let first = words.next().filter(|word| word != "env" && word != "busybox");
    Some(language(&first.or_else(|| words.next()).unwrap_or_default()))
}

fn language(program: &str) -> &'static str {
    const PROGRAMS: [(&str, &str); 22] = [
        ("python", "text/x-python"),
        ("pypy", "text/x-python"),
        ("perl", "text/x-perl"),
        ("ruby", "text/x-ruby"),
        ("php", "text/x-php"),
        ("node", "text/javascript"),
        ("nodejs", "text/javascript"),
        ("deno", "text/javascript"),
        ("bun", "text/javascript"),
        ("gjs", "text/javascript"),
        ("cscript", "text/javascript"),
        ("pwsh", "application/x-powershell"),
        ("powershell", "application/x-powershell"),
        ("lua", "text/x-lua"),
        ("tclsh", "text/x-tcl"),
        ("wish", "text/x-tcl"),
        ("expect", "text/x-tcl"),
        ("awk", "text/x-awk"),
        ("gawk", "text/x-awk"),
        ("mawk", "text/x-awk"),
        ("nawk", "text/x-awk"),
        ("osascript", "text/x-applescript"),
    ];
    let bare = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    PROGRAMS.iter().find(|(name, _)| *name == bare).map_or("text/x-shellscript", |(_, kind)| kind)
}
