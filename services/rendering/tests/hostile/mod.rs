//! A report in which every text that somebody could have written is written by an enemy.

use serde_json::Value;

const CLEAN: &[u8] = include_bytes!("../../../release/tests/golden-reports/clean.json");

/// Each for another reader: pages, spreadsheets of either separator, Typst.
const WORDS: [&str; 8] = [
    "</title></style></td><script>fetch('/ran')</script>",
    "\"'><img src=/ran onerror=\"fetch('/ran')\"><iframe srcdoc='<script>fetch(\"/ran\")</script>'>",
    "=HYPERLINK(\"http://127.0.0.1:9/ran\",\"1\")",
    "a;=1+1;+1,@SUM(1),\"=1+1\"",
    "-1+1|cmd|' /C calc'!A0",
    "\t=1+1\n=1+1;\r\n@SUM(1)",
    "#panic(\"ran\") $x$ *x* _x_ @x <x> \\ ` #include \"/etc/passwd\" https://ran.example",
    "javascript:fetch('/ran')",
];

pub fn report() -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "the golden report is JSON")]
    let mut report: Value = serde_json::from_slice(CLEAN).expect("JSON");
    let kind = report["report"].clone();
    let mut turn = WORDS.iter().cycle();
    poison(&mut report, &mut turn);
    report["report"] = kind;
    report.to_string().into_bytes()
}

fn poison<'a>(value: &mut Value, turn: &mut impl Iterator<Item = &'a &'a str>) {
    match value {
        Value::String(text) => *text = format!("{}{text}", turn.next().copied().unwrap_or_default()),
        Value::Array(all) => all.iter_mut().for_each(|one| poison(one, turn)),
        Value::Object(members) => members.values_mut().for_each(|one| poison(one, turn)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
