//! `weir identity explain`: why a process is who it is, and what the rules say of an identity.
//!
//! ```text
//! # weir identity explain 812
//! spiffe://weir.local/workload/bot
//!   process 812, /usr/bin/python3, uid 1000
//!   without rules: unit/bot.service
//!   owner: ann@example.org
//!
//! FACT                       SOURCE   HINT  ENOUGH
//! unix:uid:1000              kernel         yes
//! systemd:id:bot.service     cgroup         yes
//! process:script:bot.py      process  hint
//!
//! RULE     OUTCOME
//! crawler  no: container:name:crawler: nothing is known of that
//! bot      matched
//! ```

use std::fmt::Write as _;
use std::io::Write as _;

use comfy_table::{Cell, Table};
use weir_core::identity::{Assigned, Explanation, Outcome};

use crate::cli::calls;
use crate::cli::connection::{Connection, converse, explain, health, read};
use crate::cli::name::{Names, printable};
use crate::cli::output::table;
use crate::cli::span::target;
use crate::control::{NamedIdentity, RuleView};
use crate::exit::Exit;

/// Show why a process is who it is, or what the rules say of an identity.
///
/// Of a process that runs: each fact that is known of it with its source, each rule up to the one
/// that matched with what did not hold, and the identity. A fact whose source is neither the kernel
/// nor the cgroup is a hint. A rule has to have a fact that is ENOUGH: one that the process has no say
/// in. Write facts into the `match` of a rule as they are shown.
///
/// Of an identity: the rule that gives it, and its latest call of the last seven days.
///
/// Who is not root can ask about his own processes only.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir identity explain 812
  weir identity explain $(systemctl show --value -p MainPID bot.service)
  weir identity explain unit/bot.service
  weir identity explain 812 --format json | jq -r '.facts[] | select(.sufficient).selector'")]
pub(super) struct Arguments {
    /// The id of a process; or an identity, in full, as reports shorten it, or by its rule's name
    #[arg(value_name = "PID|NAME")]
    subject: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For reading
    Table,
    /// As the API answers it
    Json,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let is_pid = self.subject.bytes().all(|byte| byte.is_ascii_digit());
        let key = if is_pid { "pid" } else { "name" };
        let target = target("/v1/identity/explain", &[(key, Some(self.subject))]);
        let (health, body) = converse(async {
            let health = health(&client).await?;
            Ok((health, client.get(&target).await.map_err(explain)?))
        })?;
        let names = Names::of(&health);
        let text = match (self.format, is_pid) {
            (Format::Json, _) => format!("{}\n", String::from_utf8_lossy(&body)),
            (Format::Table, true) => of_process(&read(&body)?, &names),
            (Format::Table, false) => of_identity(&read(&body)?, &names),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }
}

fn of_process(told: &Explanation, names: &Names) -> String {
    let mut text = format!("{}\n", printable(names.short(&told.identity.0)));
    let exe = told.process.exe.as_deref().unwrap_or("(program not known)");
    say(&mut text, &format!("process {}, {exe}, uid {}", told.process.pid, told.process.uid));
    if told.resolved != told.identity {
        say(&mut text, &format!("without rules: {}", names.short(&told.resolved.0)));
    }
    if let Some(assigned) = &told.workload.assigned {
        say_assigned(&mut text, assigned);
    }
    for refused in &told.workload.disputed {
        say(&mut text, &format!("refused: {refused}"));
    }
    let mut facts = table(&["FACT", "SOURCE", "HINT", "ENOUGH"], &[]);
    for fact in &told.facts {
        facts.add_row([
            Cell::new(fact.fact.selector.to_string()),
            Cell::new(fact.fact.source.as_str()),
            Cell::new(if fact.hint { "hint" } else { "" }),
            Cell::new(if fact.sufficient { "yes" } else { "" }),
        ]);
    }
    add(&mut text, &facts);
    if told.rules.is_empty() {
        text.push_str("\nNo rule is configured.\n");
        return text;
    }
    let mut rules = table(&["RULE", "OUTCOME"], &[]);
    for tried in &told.rules {
        let outcome = match &tried.outcome {
            Outcome::Matched => "matched".to_owned(),
            Outcome::WithCredential => "only for calls with its credential".to_owned(),
            Outcome::Failed { condition, because } => format!("no: {condition}: {because}"),
        };
        rules.add_row([printable(&tried.rule), printable(&outcome)]);
    }
    add(&mut text, &rules);
    text
}

fn of_identity(told: &NamedIdentity, names: &Names) -> String {
    let mut text = format!("{}\n", printable(names.short(&told.identity.0)));
    match &told.rule {
        Some(rule) => say_rule(&mut text, rule),
        None => say(&mut text, "no rule is about it"),
    }
    let Some(latest) = &told.latest else {
        text.push_str("\nNo call in the last seven days.\n");
        return text;
    };
    // Writing to a string can't fail.
    let _ = write!(text, "\nLatest call:\n{}\n{}\n", calls::header(), calls::row(latest, names));
    for refused in &latest.workload.disputed {
        say(&mut text, &format!("refused: {refused}"));
    }
    text
}

fn say_rule(text: &mut String, rule: &RuleView) {
    let RuleView {
        name: _,
        all,
        exe_sha256,
        parent,
        credential,
        assigned,
        approved_models,
        approved_providers,
        shared_credentials,
    } = rule;
    say(text, &format!("rule: {}", assigned.rule));
    for (what, values) in [
        ("match", all),
        ("program", exe_sha256),
        ("parent", parent),
        ("credential", credential),
        ("approved models", approved_models),
        ("approved providers", approved_providers),
        ("shared credentials", shared_credentials),
    ] {
        if !values.is_empty() {
            say(text, &format!("{what}: {}", values.join(", ")));
        }
    }
    say_assigned(text, assigned);
}

fn say_assigned(text: &mut String, assigned: &Assigned) {
    let Assigned { rule: _, owner, team, product_line, cost_center, environment, labels } =
        assigned;
    for (what, value) in [
        ("owner", owner),
        ("team", team),
        ("product line", product_line),
        ("cost centre", cost_center),
        ("environment", environment),
    ] {
        if let Some(value) = value {
            say(text, &format!("{what}: {value}"));
        }
    }
    for (name, value) in labels {
        say(text, &format!("label {name}: {value}"));
    }
}

/// A line of its own, with nothing in it that a terminal would obey.
fn say(text: &mut String, line: &str) {
    let _ = writeln!(text, "  {}", printable(line));
}

fn add(text: &mut String, table: &Table) {
    text.push('\n');
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
