//! kubelet as a unit of systemd's.

use crate::backend::exec::ExecSpec;
use crate::backend::systemd::Ours;

/// For a machine where nobody else wrote a kubelet.service.
pub(super) fn unit(spec: &ExecSpec) -> Ours {
    Ours::Unit(format!(
        "[Unit]\n\
         Description=kubelet, started by mainstay\n\
         Documentation=https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         {}ExecStart={}\n\
         # mainstay starts it again, at its own pace.\n\
         Restart=no\n",
        environment(spec),
        command(spec)
    ))
}

/// For a kubelet.service of a package, and kubeadm's drop-in for it: only how it is started is ours.
pub(super) fn drop_in(spec: &ExecSpec) -> Ours {
    Ours::DropIn(format!(
        "[Unit]\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         {}ExecStart=\n\
         ExecStart={}\n\
         # mainstay starts it again, at its own pace.\n\
         Restart=no\n",
        environment(spec),
        command(spec)
    ))
}

fn environment(spec: &ExecSpec) -> String {
    let line = |(name, value): (&String, &String)| {
        format!("Environment={}\n", quoted(&format!("{name}={value}")))
    };
    spec.env.iter().map(line).collect()
}

fn command(spec: &ExecSpec) -> String {
    let program = quoted(&spec.program.display().to_string());
    let arguments = spec.args.iter().map(|it| format!(" \\\n  {}", quoted(&it.replace('$', "$$"))));
    program + &arguments.collect::<String>()
}

/// As `man systemd.syntax` and `systemd.unit` want it: quotes only where they are needed, specifiers escaped.
fn quoted(text: &str) -> String {
    let text = text.replace('%', "%%");
    let plain = |it: char| !it.is_whitespace() && !it.is_control() && !"\"'\\;".contains(it);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            it => quoted.push(it),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_through_systemds_quoting() {
        assert_eq!(quoted("--node-ip=10.0.0.1,fd00::1"), "--node-ip=10.0.0.1,fd00::1");
        assert_eq!(quoted("50%"), "50%%");
        assert_eq!(quoted("a b"), "\"a b\"");
        assert_eq!(quoted("say \"it\\\""), "\"say \\\"it\\\\\\\"\"");
        assert_eq!(quoted(""), "\"\"");
        let mut spec = ExecSpec::new("/usr/bin/kubelet");
        spec.args = vec!["--a=$HOME".into(), "--b=;".into()];
        assert_eq!(command(&spec), "/usr/bin/kubelet \\\n  --a=$$HOME \\\n  \"--b=;\"");
    }
}
