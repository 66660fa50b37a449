//! Who has which priority.

use super::*;

/// The priority and the degraded priority of a node in [`file`].
fn priorities(keys: &[(&str, &str)], node: &str) -> (u8, u8) {
    let config = for_node(&file(keys), node).virtual_routers.remove(0).config;
    (config.priority.get(), config.degraded_priority.get())
}

/// A file of so many masters.
fn masters(count: usize, keys: &[(&str, &str)]) -> String {
    let nodes: Vec<_> = (1..=count).map(|i| node(&format!("m{i}"), "master", 100 + i)).collect();
    format!("{CLUSTER}{}{}", nodes.concat(), router(keys))
}

#[test]
fn masters_have_254_244_and_so_on_by_their_order() {
    assert_eq!(priorities(&[], "m1"), (254, 126));
    assert_eq!(priorities(&[], "m2"), (244, 116));
}

#[test]
fn workers_take_no_part_in_the_order() {
    let nodes = [node("w1", "worker", 21), node("m1", "master", 11), node("m2", "master", 12)];
    let text = format!("{CLUSTER}{}{}", nodes.concat(), router(&[]));
    assert_eq!(for_node(&text, "m1").virtual_routers[0].config.priority.get(), 254);
}

#[test]
fn a_single_master_has_254() {
    assert_eq!(for_node(&masters(1, &[]), "m1").virtual_routers[0].config.priority.get(), 254);
}

#[test]
fn a_priority_that_is_given_wins_over_the_order() {
    assert_eq!(priorities(&[("priority", "{ m1 = 250 }")], "m1"), (250, 122));
    assert_eq!(priorities(&[("priority", "{ m1 = 250 }")], "m2"), (244, 116));
}

#[test]
fn the_order_is_enough_for_13_masters_with_degraded_only() {
    assert_eq!(for_node(&masters(13, &[]), "m13").virtual_routers[0].config.priority.get(), 134);
    assert_refused(&masters(14, &[]), "\"apiserver\"", "no priority is left for m14");
    parse_all(&masters(14, &[("priority", "{ m14 = 131 }")])).unwrap();
}

#[test]
fn the_order_is_enough_for_26_masters_with_always() {
    let keys = [("preempt", "\"always\""), ("degraded_priority", "1")];
    let last = for_node(&masters(26, &keys), "m26").virtual_routers.remove(0).config;
    assert_eq!((last.priority.get(), last.degraded_priority.get()), (4, 1));
    let keys = [("preempt", "\"never\""), ("on_degraded", "\"release\"")];
    parse_all(&masters(26, &keys)).unwrap();
    assert_refused(&masters(27, &keys), "\"apiserver\"", "to 26 masters, and there are 27");
}

#[test]
fn a_priority_is_1_to_255() {
    for wrong in ["0", "256", "-1"] {
        let text = file(&[("priority", &format!("{{ m1 = {wrong} }}"))]);
        assert_refused(&text, wrong, "out of range: RFC 9568 has 1 to 254");
    }
}

#[test]
fn with_degraded_only_a_healthy_priority_is_130_to_254() {
    let with = |priority| file(&[("priority", &format!("{{ m1 = {priority} }}"))]);
    assert_refused(&with(129), "129", "a healthy master has 130 to 254");
    assert_refused(&with(1), "1", "a healthy master has 130 to 254");
    parse_all(&with(130)).unwrap();
    parse_all(&with(253)).unwrap();
}

#[test]
fn with_always_or_never_a_priority_is_1_to_254() {
    for preempt in ["\"always\"", "\"never\""] {
        for priority in ["{ m1 = 2, m2 = 3 }", "{ m1 = 254, m2 = 253 }"] {
            let release = ("on_degraded", "\"release\"");
            parse_all(&file(&[("preempt", preempt), ("priority", priority), release])).unwrap();
        }
    }
}

#[test]
fn no_two_masters_have_the_same_priority() {
    let text = file(&[("priority", "{ m1 = 250, m2 = 250 }")]);
    assert_refused(&text, "250", "m1 and m2 have the same priority, 250");
    let text = file(&[("priority", "{ m1 = 244 }")]);
    assert_refused(&text, "244", "m1 and m2 have the same priority, 244");
}

#[test]
fn priorities_are_for_masters_that_exist() {
    assert_refused(&file(&[("priority", "{ m3 = 250 }")]), "m3", "no master is named `m3`");
    assert_refused(&file(&[("priority", "{ w1 = 250 }")]), "w1", "no master is named `w1`");
    let text = file(&[("degraded_priority", "{ w1 = 50 }")]);
    assert_refused(&text, "w1", "no master is named `w1`");
}

#[test]
fn a_degraded_priority_is_for_all_or_for_each() {
    assert_eq!(priorities(&[("degraded_priority", "50")], "m2"), (244, 50));
    let each = ("degraded_priority", "{ m1 = 60 }");
    assert_eq!(priorities(&[each], "m1"), (254, 60));
    assert_eq!(priorities(&[each], "m2"), (244, 116));
}

#[test]
fn a_degraded_priority_is_required_where_the_priority_is_128_or_less() {
    let always = ("preempt", "\"always\"");
    let low = ("priority", "{ m1 = 128, m2 = 100 }");
    let problems = problems(&file(&[always, low]));
    assert_eq!(problems[0].0, "128");
    assert!(problems[0].1.starts_with("m1 needs a degraded_priority"), "{problems:?}");
    assert_eq!((problems[1].0.as_str(), problems.len()), ("100", 2));
    assert_eq!(priorities(&[always, low, ("degraded_priority", "99")], "m1"), (128, 99));
}

#[test]
fn a_degraded_priority_is_below_every_masters_priority() {
    let always = ("preempt", "\"always\"");
    let text = file(&[always, ("degraded_priority", "244")]);
    let found = problems(&text);
    assert!(found.iter().all(|(at, message)| at == "244" && message.contains("while degraded")));
    // By default too: m1's would be 122.
    let text = file(&[
        always,
        ("priority", "{ m1 = 250, m2 = 110 }"),
        ("degraded_priority", "{ m2 = 50 }"),
    ]);
    assert_refused(&text, "250", "m1 would stay Active while degraded: its degraded priority 122");
}

#[test]
fn with_degraded_only_a_degraded_priority_is_in_the_degraded_band() {
    let text = file(&[("degraded_priority", "{ m1 = 128 }")]);
    assert_refused(&text, "128", "degraded_priority 128 of m1 would count as healthy");
    assert_eq!(priorities(&[("degraded_priority", "127")], "m1"), (254, 127));
}

#[test]
fn a_degraded_priority_has_no_place_where_a_degraded_router_releases() {
    let text = file(&[("degraded_priority", "{ m1 = 5 }"), ("on_degraded", "\"release\"")]);
    assert_refused(&text, "5", "no effect with on_degraded = \"release\"");
}

#[test]
fn priority_255_is_for_the_owner_of_all_addresses() {
    let owner = ("priority", "{ m1 = 255 }");
    assert_refused(&file(&[owner]), "255", "priority 255 is the address owner's");
    assert_eq!(priorities(&[owner, ("addresses", "[\"10.0.0.11\"]")], "m1"), (255, 127));
    let text = file(&[owner, ("addresses", "[\"10.0.0.11\", \"10.0.0.10\"]")]);
    assert_refused(&text, "255", "m1 does not have them all");
}
