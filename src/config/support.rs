//! What the configuration can say and this version cannot do yet. It is refused, never ignored.
//! Whoever builds one of these removes it here, and nowhere else.

use toml::de::DeTable;

use super::error::{Fault, Problems};

/// Sections that later versions read.
const LATER_SECTIONS: [&str; 1] = ["kube_proxy"];

/// Takes the sections of later versions out of the file and reports them.
pub(super) fn refuse_sections(file: &mut DeTable<'_>, problems: &mut Problems) {
    for section in LATER_SECTIONS {
        if let Some((key, _)) = file.remove_entry(section) {
            problems.add(key.span(), refusal(&format!("[{section}]"), "remove the section"));
        }
    }
}

fn refusal(what: &str, help: &str) -> Fault {
    Fault::new(format!("{what} is not supported by this version of mainstay"), help)
}
