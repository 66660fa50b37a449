//! No text makes it panic, and each error names a place.

use proptest::prelude::*;

use super::*;

/// The place is in the text, and there is something to read.
fn assert_sane(text: &str) {
    if let Err(error) = parse_all(text) {
        let error = error.to_string();
        let mut parts = error.splitn(4, ':');
        assert_eq!(parts.next(), Some("f.toml"), "{error}");
        let line: usize = parts.next().unwrap().parse().unwrap();
        let column: usize = parts.next().unwrap().parse().unwrap();
        assert!((1..=text.split('\n').count()).contains(&line), "{error}");
        let length = text.split('\n').nth(line - 1).unwrap().chars().count();
        assert!((1..=length + 1).contains(&column), "{error}");
        assert!(!parts.next().unwrap().trim().is_empty(), "{error}");
        assert!(error.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()), "{error:?}");
    }
}

/// A valid file with some of everything.
fn whole() -> String {
    let check = "[[check]]\nname = \"c\"\nhttps = \"https://h/\"\ninterval = \"1s\"\nfall = 3\n";
    let v6 = [
        ("name", "\"v6\""),
        ("vrid", "7"),
        ("addresses", "[\"fe80::a\"]"),
        ("transport", "\"unicast\""),
        ("peers", "[\"fd00::1\", \"fd00::2\", \"fd00::3\", \"fd00::9\"]"),
        ("priority", "{ m1 = 130, m2 = 131 }"),
        ("degraded_priority", "{ m2 = 1 }"),
        ("lease", "\"off\""),
        ("checks", "[\"c\"]"),
    ];
    let example = (1..=3).fold(EXAMPLE.to_owned(), |text, i| {
        text.replace(&format!("\"10.0.0.1{i}\""), &format!("\"10.0.0.1{i}\", \"fd00::{i}\""))
    });
    format!("{example}{}{check}", router(&v6))
}

/// What a hand might put into a file.
fn token() -> impl Strategy<Value = String> {
    let tokens = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        "\"",
        "'",
        "\"\"\"",
        ",",
        ".",
        "#",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "0",
        "-1",
        "256",
        "99999999999999999999",
        "1e400",
        "0x",
        "nan",
        "true",
        "\\",
        "\\u",
        "\u{20ac}",
        "\u{feff}",
        "\u{0}",
        "\u{1b}",
        "m1",
        "priority",
        "[node]",
        "[[node]]",
        "[[virtual_router]]\n",
        "[virtual_router.priority]\n",
        "[api]\n",
        "1979-05-27",
        "\"1s\"",
        "fe80::1",
        "name = 1\n",
        "a.b.c = {}\n",
    ];
    prop_oneof![
        4 => proptest::sample::select(tokens.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        assert_sane(&text);
    }

    #[test]
    fn text_of_likely_tokens(tokens in proptest::collection::vec(token(), 0..60)) {
        assert_sane(&tokens.concat());
    }

    #[test]
    fn a_valid_file_with_some_text_replaced(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..12, token()), 1..4),
    ) {
        let mut text: Vec<char> = whole().chars().collect();
        for (at, length, new) in edits {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, new.chars());
        }
        assert_sane(&text.into_iter().collect::<String>());
    }

    #[test]
    fn a_valid_file_with_one_value_replaced(line in any::<prop::sample::Index>(), value in token()) {
        let whole = whole();
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        let keys: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].contains(" = ")).collect();
        let line = keys[line.index(keys.len())];
        let key = lines[line].trim_start_matches("# ").split(" = ").next().unwrap().to_owned();
        lines[line] = format!("{key} = {value}");
        assert_sane(&lines.join("\n"));
    }
}

#[test]
fn a_valid_file_that_is_cut_short() {
    let whole = whole();
    for (end, _) in whole.char_indices() {
        assert_sane(&whole[..end]);
    }
}

#[test]
fn the_file_that_the_others_change_is_valid() {
    parse_all(&whole()).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_file_at_the_size_limit_is_refused_in_bounded_time() {
    let start = std::time::Instant::now();
    let size = 1 << 20;
    let many = |part: &str| part.repeat(size / part.len());
    assert_sane(&many("[[virtual_router]]\nx = 1\n"));
    assert_sane(&file(&[("addresses", &format!("[{}]", many("\"x\",")))]));
    assert_sane(&file(&[("addresses", &many("["))]));
    assert_sane(&many("a.b.c.d."));
    assert_sane(&many("[node."));
    assert_sane(&format!("x = {{{}}}", many("a={},")));
    assert_sane(&format!("{CLUSTER}{}", many(&node("m1", "master", 11))));
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
}
