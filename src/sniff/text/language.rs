//! Languages that interpreters run, by how their lines look: scripts need no first line that says so to be started.
//!
//! Each hint counts once, and so many points make a script. Prose about a language has few of its lines; whoever wants to hide a
//! script can write it without any of them, so this tells what people and common tools write.

use self::Hint::{All, Begins, Flush, Has, Is, Like};
use super::markup::head;

/// Points that make a script, and that make one of what has lines as sources for compilers have them.
const ENOUGH: u32 = 4;
const MORE_THAN_ENOUGH: u32 = 14;

/// Bytes and lines that are looked at.
const READ: usize = 16 * 1024;
const LINES: usize = 400;

/// What a line, or the text, may show.
enum Hint {
    /// A line that begins so, after white space.
    Begins(&'static str),
    /// A line that begins so, at its very start.
    Flush(&'static str),
    /// A line that is this and no more.
    Is(&'static str),
    /// A line that begins with the first and ends with the second.
    All(&'static str, &'static str),
    /// A line, at its very start, with a form.
    Like(fn(&str) -> bool),
    /// The text has this somewhere.
    Has(&'static str),
}

struct Language {
    kind: &'static str,
    /// Its hints are in lower case, and hold whatever the case.
    folds: bool,
    hints: &'static [(u8, Hint)],
}

const LANGUAGES: [Language; 12] = [
    Language {
        kind: "application/x-powershell",
        folds: true,
        hints: &[
            (2, Begins("param(")),
            (2, Begins("param (")),
            (2, Begins("[cmdletbinding(")),
            (2, Begins("[parameter(")),
            (2, Begins("#requires -")),
            (3, Begins("set-strictmode")),
            (3, Begins("$erroractionpreference")),
            (2, Like(is_cmdlet)),
            (2, Like(is_cmdlet_assigned)),
            (2, Like(is_cmdlet_function)),
            (2, Has("$env:")),
            (2, Has("new-object ")),
            (2, Has("| foreach-object")),
            (2, Has("| where-object")),
            (2, Has(" -erroraction ")),
            (2, Has("[system.")),
            (2, Has("[convert]::")),
            (2, Has("$_.")),
            (2, Has(".downloadstring(")),
            (2, Has("invoke-expression")),
            (2, Begins("iex ")),
            (2, Begins("iex(")),
            (2, Has("frombase64string(")),
            (2, Has("-executionpolicy ")),
        ],
    },
    Language {
        kind: "text/x-msdos-batch",
        folds: true,
        hints: &[
            (4, Begins("@echo ")),
            (4, Begins("@rem ")),
            (4, Begins("@setlocal")),
            (4, Begins("@cmd")),
            (4, Begins("@powershell")),
            (4, Begins("@start ")),
            (4, Begins("@if ")),
            (3, Begins("echo off")),
            (2, Begins("setlocal ")),
            (1, Begins("rem ")),
            (1, Begins("set ")),
            (2, Begins("set /")),
            (2, Begins("goto ")),
            (2, Begins("if exist ")),
            (2, Begins("if not exist ")),
            (2, Begins("if errorlevel ")),
            (2, Has("%errorlevel%")),
            (3, Has("%~dp0")),
            (2, Has(" %%")),
            (1, Has("%temp%")),
            (1, Has("%appdata%")),
            (1, Is("pause")),
            (2, Begins("start \"\"")),
            (1, Begins("start ")),
            (2, Begins("cmd /c ")),
            (2, Begins("cmd.exe /c ")),
            (2, Begins("powershell -")),
            (2, Begins("powershell.exe -")),
            (2, Begins("certutil ")),
            (2, Begins("bitsadmin ")),
            (2, Begins("reg add ")),
            (2, Begins("xcopy ")),
            (2, Has(">nul")),
        ],
    },
    Language {
        kind: "text/vbscript",
        folds: true,
        hints: &[
            (4, Begins("attribute vb_name")),
            (2, Begins("option explicit")),
            (3, Begins("on error resume next")),
            (2, Flush("dim ")),
            (1, Begins("set ")),
            (2, Is("end sub")),
            (2, Is("end function")),
            (1, Is("end if")),
            (3, Has("createobject(")),
            (2, Has("getobject(")),
            (3, Has("wscript.")),
            (2, Begins("msgbox ")),
            (2, Begins("execute(")),
            (2, Begins("execute ")),
            (2, Begins("executeglobal")),
            (2, Has("chr(")),
        ],
    },
    Language {
        kind: "text/javascript",
        folds: false,
        hints: &[
            (4, Begins("\"use strict\"")),
            (4, Begins("'use strict'")),
            (4, Begins("module.exports")),
            (4, Begins("exports.")),
            (2, Like(is_bare_import)),
            (2, Has("= require(")),
            (2, Has("(require(")),
            (3, Flush("export default ")),
            (3, Flush("export function ")),
            (3, Flush("export const ")),
            (3, Flush("export class ")),
            (3, Flush("export {")),
            (2, All("export ", "{")),
            (4, Flush("export * from ")),
            (4, Flush("import {")),
            (4, Flush("import * as ")),
            (4, Like(is_module_import)),
            (4, Flush("async function ")),
            (2, Like(is_function)),
            (1, Begins("var ")),
            (1, Begins("let ")),
            (1, Begins("const ")),
            (1, Has(") => ")),
            (3, Has("=>{")),
            (1, Has("() {")),
            (2, Has("function(")),
            (2, Has("function (")),
            (3, Has("document.getElement")),
            (3, Has("document.querySelector")),
            (3, Has("document.createElement")),
            (3, Has("document.write(")),
            (3, Has("document.location")),
            (3, Has("document.cookie")),
            (3, Has("window.location")),
            (2, Has("window.open(")),
            (2, Has("window[")),
            (2, Has("console.log(")),
            (2, Begins("});")),
            (3, Begins("})(")),
            (3, Begins("}(")),
            (4, Begins("(function(")),
            (4, Begins("(function (")),
            (4, Begins("!function")),
            (4, Begins(";(function")),
            (4, Begins("(()=>")),
            (4, Begins("(() =>")),
            (4, Begins("eval(")),
            (4, Has("new ActiveXObject(")),
            (3, Has("WScript.")),
            (4, Begins("define([")),
            (4, Begins("jQuery")),
            (4, Begins("$(function")),
            (4, Begins("$(document)")),
            (4, Begins("/*global ")),
            (4, Begins("/* eslint")),
            (3, Has("Object.defineProperty(")),
            (2, Has(".prototype")),
            (2, Has("typeof ")),
            (2, Has(" === ")),
        ],
    },
    Language {
        kind: "text/x-python",
        folds: false,
        hints: &[
            (4, Like(is_from_import)),
            (2, Like(is_import)),
            (3, Like(is_def)),
            (3, Like(is_class)),
            (4, Flush("if __name__ ==")),
            (3, Has("-*- coding")),
            (1, Begins("\"\"\"")),
            (1, Begins("self.")),
            (2, Flush("@")),
            (2, Is("try:")),
            (2, All("except", ":")),
            (2, All("elif ", ":")),
            (1, All("if ", ":")),
            (1, All("for ", ":")),
            (1, All("with ", ":")),
            (1, Flush("print(")),
            (1, Begins("return ")),
            (3, Flush("__all__")),
            (3, Flush("__version__")),
            (3, Flush("exec(")),
        ],
    },
    Language {
        kind: "text/x-perl",
        folds: false,
        hints: &[
            (4, Flush("use strict")),
            (4, Flush("use warnings")),
            (4, Like(is_perl_package)),
            (4, Flush("no warnings")),
            (4, Flush("require '_h2ph")),
            (3, Flush("eval 'sub ")),
            (2, Like(is_perl_version)),
            (2, Begins("my $")),
            (2, Begins("my (")),
            (2, Begins("my @")),
            (2, Begins("my %")),
            (2, Begins("our $")),
            (2, Begins("our @")),
            (2, All("sub ", "{")),
            (1, Flush("=head1 ")),
            (1, Is("1;")),
            (2, Has("$self->")),
            (2, Has("@ISA")),
            (2, Has("__PACKAGE__")),
            (2, Has("@_;")),
        ],
    },
    Language {
        kind: "text/x-ruby",
        folds: false,
        hints: &[
            (4, Begins("# frozen_string_literal:")),
            (4, Begins("require_relative ")),
            (2, Like(is_ruby_require)),
            (3, Like(is_ruby_class)),
            (1, Like(is_ruby_module)),
            (1, Is("end")),
            (1, Like(is_ruby_def)),
            (3, Begins("attr_reader ")),
            (3, Begins("attr_accessor ")),
            (2, Has(" do |")),
            (2, Has(".each do")),
            (2, Begins("Gem::Specification.new")),
            (1, Begins("puts ")),
            (1, Begins("elsif ")),
            (1, Begins("unless ")),
        ],
    },
    Language {
        kind: "text/x-lua",
        folds: false,
        hints: &[
            (4, Begins("local function ")),
            (2, Like(is_lua_local)),
            (2, Like(is_lua_function)),
            (1, Is("end")),
            (1, Begins("--[[")),
            (1, All("if ", " then")),
            (1, Has(" ~= ")),
            (1, Has("require \"")),
            (1, Has("require(")),
            (1, Has(" nil")),
        ],
    },
    Language {
        kind: "text/x-tcl",
        folds: false,
        hints: &[
            (4, Like(is_tcl_proc)),
            (4, Begins("namespace eval ")),
            (3, Begins("package require ")),
            (3, Begins("package provide ")),
            (4, Begins("package ifneeded ")),
            (4, Begins("::msgcat::")),
            (1, Begins("set ")),
            (1, Begins("if {")),
            (1, Begins("foreach ")),
        ],
    },
    Language {
        kind: "text/x-shellscript",
        folds: false,
        hints: &[
            (4, Flush("# shellcheck ")),
            (4, Flush("#compdef ")),
            (4, Flush("#autoload")),
            (2, Begins("if [ ")),
            (2, Begins("if [[ ")),
            (1, Is("fi")),
            (1, Is("esac")),
            (1, Is("done")),
            (1, Is("then")),
            (2, Flush("export ")),
            (2, Flush("set -e")),
            (1, Begins("case $")),
            (1, Begins("case \"$")),
            (1, Begins("echo \"")),
            (2, All("if ", "; then")),
            (2, All("for ", "; do")),
            (2, All("while ", "; do")),
            (1, Has("\"$")),
            (1, Has("$(")),
            (2, Flush("curl ")),
            (2, Flush("wget ")),
            (2, Flush("sudo ")),
            (2, Flush("chmod ")),
            (2, Flush("rm -")),
            (2, Has(" | sh")),
            (2, Has(" | bash")),
            (2, Has("|bash")),
            (2, Has("/dev/null")),
        ],
    },
    Language {
        kind: "text/x-applescript",
        folds: true,
        hints: &[
            (4, Begins("tell application \"")),
            (3, Has("do shell script \"")),
            (2, Is("end tell")),
            (2, Begins("display dialog ")),
        ],
    },
    Language { kind: "text/x-php", folds: true, hints: &[(4, Has("<?php")), (4, Has("<script language=\"php\""))] },
];

/// A text as the hints look at it.
struct Page<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
    trimmed: Vec<&'a str>,
}

impl<'a> Page<'a> {
    fn of(text: &'a str) -> Self {
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).take(LINES).collect();
        let trimmed = lines.iter().map(|line| line.trim()).collect();
        Self { text, lines, trimmed }
    }

    fn shows(&self, hint: &Hint) -> bool {
        match hint {
            Begins(start) => self.trimmed.iter().any(|line| line.starts_with(start)),
            Flush(start) => self.lines.iter().any(|line| line.starts_with(start)),
            Is(whole) => self.trimmed.contains(whole),
            All(start, end) => {
                let fits = |line: &&str| line.len() > start.len() + end.len();
                self.trimmed.iter().any(|line| line.starts_with(start) && line.ends_with(end) && fits(line))
            }
            Like(form) => self.lines.iter().any(|line| form(line)),
            Has(part) => memchr::memmem::find(self.text.as_bytes(), part.as_bytes()).is_some(),
        }
    }
}

/// What a text is a script for.
pub(super) fn kind(text: &str) -> Option<&'static str> {
    let text = head(text, READ);
    let folded = text.to_ascii_lowercase();
    let (page, folded) = (Page::of(text), Page::of(&folded));
    let score = |language: &Language| -> u32 {
        let page = if language.folds { &folded } else { &page };
        let shown = language.hints.iter().filter(|(_, hint)| page.shows(hint));
        shown.map(|(points, _)| u32::from(*points)).sum()
    };
    let best = LANGUAGES.iter().map(|language| (score(language), language.kind)).max_by_key(|(score, _)| *score)?;
    let is_php = best.1 == "text/x-php";
    let enough = if !is_php && is_compiled(&page) { MORE_THAN_ENOUGH } else { ENOUGH };
    (best.0 >= enough).then_some(best.1)
}

/// Sources that a compiler wants, some of whose lines scripts have, too.
fn is_compiled(page: &Page<'_>) -> bool {
    const STARTS: [&str; 21] = [
        "#include ",
        "#include<",
        "#ifndef ",
        "#ifdef ",
        "#define ",
        "#pragma ",
        "#import <",
        "using namespace ",
        "using System",
        "template <",
        "public class ",
        "package main",
        "typedef ",
        "fn main(",
        "pub fn ",
        "AC_DEFUN",
        "dnl ",
        "syntax = \"proto",
        "\t@",
        ".PHONY",
        "(defun ",
    ];
    page.lines.iter().any(|line| STARTS.iter().any(|start| line.starts_with(start)))
}

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

fn is_cmdlet(line: &str) -> bool {
    begins_with_cmdlet(line.trim_start())
}

fn is_cmdlet_assigned(line: &str) -> bool {
    let assigned = line.trim_start().strip_prefix('$').and_then(|line| line.split_once('='));
    assigned.is_some_and(|(_, value)| begins_with_cmdlet(value.trim_start_matches([' ', '('])))
}

fn is_cmdlet_function(line: &str) -> bool {
    line.trim_start().strip_prefix("function ").is_some_and(begins_with_cmdlet)
}

fn is_module_import(line: &str) -> bool {
    line.starts_with("import ") && (line.contains(" from '") || line.contains(" from \""))
}

fn is_bare_import(line: &str) -> bool {
    line.strip_prefix("import ").is_some_and(|rest| rest.starts_with(['\'', '"']) && rest.trim_end().ends_with(';'))
}

fn is_function(line: &str) -> bool {
    named(line, "function ").is_some_and(|(_, rest)| rest.starts_with('(') && line.trim_end().ends_with('{'))
}

fn is_from_import(line: &str) -> bool {
    named(line, "from ").is_some_and(|(_, rest)| rest.trim_start().starts_with("import "))
}

fn is_import(line: &str) -> bool {
    let plain = |rest: &str| rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ',' | ' '));
    line.strip_prefix("import ").is_some_and(|rest| {
        !rest.is_empty() && rest.starts_with(|c: char| c.is_lowercase() || c == '_') && plain(rest.trim_end())
    })
}

fn is_def(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    named(line, "def ").is_some_and(|(_, rest)| rest.starts_with('(') && (rest.trim_end().ends_with([':', ',', '('])))
}

fn is_class(line: &str) -> bool {
    named(line, "class ")
        .is_some_and(|(_, rest)| rest.trim_end() == ":" || rest.starts_with('(') && rest.trim_end().ends_with(':'))
        || named(line, "class ").is_some_and(|(name, rest)| name.ends_with(':') && rest.is_empty())
}

fn is_perl_package(line: &str) -> bool {
    let package = named(line, "package ").filter(|(name, _)| !name.contains('.'));
    package.is_some_and(|(name, rest)| {
        matches!(rest.trim_start().chars().next(), Some(';' | '{')) && name.starts_with(|c: char| c.is_uppercase())
    })
}

fn is_perl_version(line: &str) -> bool {
    let used = line.strip_prefix("use ").and_then(|rest| rest.strip_suffix(';'));
    used.is_some_and(|used| {
        used.starts_with(|c: char| c.is_ascii_digit() || c == 'v') || used.contains("::") && used.contains(" qw")
    })
}

fn is_ruby_require(line: &str) -> bool {
    let required = line.strip_prefix("require '").or_else(|| line.strip_prefix("require \""));
    required.is_some_and(|name| name.trim_end().ends_with(['\'', '"']))
}

fn is_ruby_class(line: &str) -> bool {
    named(line.trim_start(), "class ").is_some_and(|(_, rest)| rest.starts_with(" < ") && !rest.contains('{'))
}

fn is_ruby_module(line: &str) -> bool {
    let module = named(line.trim_start(), "module ").or_else(|| named(line.trim_start(), "class "));
    module.is_some_and(|(name, rest)| name.starts_with(|c: char| c.is_uppercase()) && rest.trim().is_empty())
}

fn is_ruby_def(line: &str) -> bool {
    let def = named(line.trim_start(), "def ");
    def.is_some_and(|(_, rest)| !rest.trim_end().ends_with([':', '{', ',']))
}

fn is_lua_local(line: &str) -> bool {
    named(line.trim_start(), "local ").is_some_and(|(_, rest)| rest.starts_with(" = "))
}

fn is_lua_function(line: &str) -> bool {
    named(line, "function ").is_some_and(|(_, rest)| rest.starts_with('(') && rest.trim_end().ends_with([')', ']']))
}

fn is_tcl_proc(line: &str) -> bool {
    named(line.trim_start(), "proc ").is_some_and(|(_, rest)| rest.starts_with(" {"))
}
