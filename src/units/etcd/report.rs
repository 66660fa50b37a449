//! `mainstay etcd members` and `mainstay etcd status`

use std::fmt::Write;

use supervisor::etcd::guard::way_out;
use supervisor::etcd::{Answer, MemberView, Survey};

use super::super::progress::End;
use super::Etcd;

/// Who the members are.
pub async fn members(etcd: &Etcd) -> Result<End, End> {
    let survey = etcd.member.mesh().survey().await?;
    let mut text = format!("{:<18} {:<12} {:<8} PEERS", "ID", "NAME", "VOTE");
    for member in &survey.members {
        let name = if member.unstarted() { "(never ran)" } else { &member.name };
        let vote = if member.learner { "learner" } else { "yes" };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{:<18} {name:<12} {vote:<8} {}",
            member.id.to_string(),
            member.peer_urls.join(",")
        );
    }
    Ok(End::done(text).with(&survey.members))
}

/// How the cluster is; not well without quorum.
pub async fn status(etcd: &Etcd) -> Result<End, End> {
    let survey = etcd.member.mesh().survey().await?;
    let strength = survey.strength();
    let text = words(&survey);
    if strength.has_quorum() {
        return Ok(End::done(text).with(&survey));
    }
    let newest = survey.newest().map(|member| member.name.as_str());
    let help = format!("no quorum: start etcd on the other masters. {}", way_out(newest));
    Err(End::failed(format!("{text}\n{help}")).with(&survey))
}

fn words(survey: &Survey) -> String {
    let strength = survey.strength();
    let leader = survey.leader.and_then(|id| survey.member(id));
    let leader = leader.map_or_else(|| "none".to_owned(), MemberView::title);
    let mut text = format!(
        "cluster {}: {} of {} voting members are well, leader {leader}\n{:<12} {:<9} {:>10} \
         {:>10} {:>10}  STATE",
        survey.cluster,
        strength.healthy,
        strength.voters,
        "NAME",
        "VERSION",
        "SIZE",
        "IN USE",
        "INDEX"
    );
    for member in &survey.members {
        let name = if member.unstarted() { "(never ran)" } else { &member.name };
        let _ = match &member.answer {
            Answer::Status { version, db_size, db_in_use, index, leader, .. } => {
                let state = match (member.learner, leader) {
                    (true, _) => "learner",
                    (false, Some(leader)) if *leader == member.id => "leader",
                    (false, Some(_)) => "follower",
                    (false, None) => "no leader",
                };
                write!(
                    text,
                    "\n{name:<12} {version:<9} {:>10} {:>10} {index:>10}  {state}",
                    size(*db_size),
                    size(*db_in_use)
                )
            }
            Answer::Silent(why) => write!(text, "\n{name:<12} {:<9} {why}", "-"),
        };
    }
    for alarm in &survey.alarms {
        let _ = write!(text, "\nalarm: {}", alarm.words());
    }
    text
}

/// In the unit that reads best.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
