//! What others say, fit to be shown: one line, bounded, nothing that steers a terminal.

/// At most `limit` characters of the text in one line.
pub fn shown(text: &str, limit: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.trim().chars().take(limit).map(clean).collect();
    if text.trim().chars().nth(limit).is_some() {
        shown.push_str(" ...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_blanked_and_what_is_long_is_cut() {
        assert_eq!(shown(" a\u{1b}[2Jb\nc ", 20), "a [2Jb c");
        assert_eq!(shown("äöüß", 3), "äöü ...");
        assert_eq!(shown("äöü", 3), "äöü");
        assert_eq!(shown("", 3), "");
    }
}
