//! What kind of text it is. Tokenizers differ from each other by more on code, on JSON and on the
//! scripts of East Asia than on prose, so each kind has a ratio of its own.

/// A kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Class {
    Prose,
    Code,
    Json,
    /// Chinese, Japanese or Korean.
    Cjk,
}

/// How many windows of a text are looked at, spread evenly over it, and how long each is in bytes:
/// an answer often begins with prose and goes on with code.
const WINDOWS: usize = 4;
const WINDOW: usize = 1024;

/// Words that a line of code begins with.
const KEYWORDS: &[&str] = &[
    "#define",
    "#include",
    "#[",
    "SELECT",
    "FROM",
    "WHERE",
    "async",
    "await",
    "break",
    "case",
    "class",
    "const",
    "def",
    "echo",
    "elif",
    "else:",
    "enum",
    "except",
    "export",
    "extern",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "if",
    "impl",
    "import",
    "interface",
    "let",
    "match",
    "mod",
    "package",
    "print",
    "private",
    "protected",
    "pub",
    "public",
    "raise",
    "return",
    "self",
    "static",
    "struct",
    "switch",
    "throw",
    "try:",
    "type",
    "use",
    "using",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

impl Class {
    pub(in crate::meter) const ALL: [Self; 4] = [Self::Prose, Self::Code, Self::Json, Self::Cjk];

    /// Which kind `text` mostly is. Looks at no more than [`WINDOWS`] times [`WINDOW`] bytes.
    pub(in crate::meter) fn of(text: &str) -> Self {
        let mut marks = Marks::default();
        windows(text).for_each(|window| marks.read(window));
        marks.class()
    }
}

/// The parts of a text that are looked at: all of it if it is short.
fn windows(text: &str) -> impl Iterator<Item = &str> {
    let is_short = text.len() <= WINDOWS * WINDOW;
    let (count, length) = if is_short { (1, text.len()) } else { (WINDOWS, WINDOW) };
    let step = text.len().saturating_sub(length) / (WINDOWS - 1);
    (0..count).map(move |number| {
        let start = text.floor_char_boundary(number * step);
        &text[start..text.floor_char_boundary(start + length)]
    })
}

/// What was found. Counts of characters, but for the lines.
#[derive(Default)]
struct Marks {
    /// All but white space.
    all: usize,
    cjk: usize,
    quotes: usize,
    /// `{ } [ ] : ,`
    structure: usize,
    /// `( ) ; = < > _ $ | { } [ ]`
    operators: usize,
    /// `( ) ; = < >`, of which JSON has none outside its strings.
    calls: usize,
    lines: usize,
    code_lines: usize,
}

impl Marks {
    fn read(&mut self, window: &str) {
        for line in window.lines().filter(|line| !line.trim().is_empty()) {
            self.lines += 1;
            self.code_lines += usize::from(is_code(line));
        }
        for character in window.chars().filter(|character| !character.is_whitespace()) {
            self.all += 1;
            match character {
                '"' => self.quotes += 1,
                ':' | ',' => self.structure += 1,
                '{' | '}' | '[' | ']' => {
                    self.structure += 1;
                    self.operators += 1;
                }
                '(' | ')' | ';' | '=' | '<' | '>' => {
                    self.operators += 1;
                    self.calls += 1;
                }
                '_' | '$' | '|' => self.operators += 1,
                _ => self.cjk += usize::from(is_cjk(character)),
            }
        }
    }

    /// The shares were chosen by the texts in the tests. One of these characters is a token or two,
    /// a word of five letters is one: a quarter of the characters is most of the tokens.
    fn class(&self) -> Class {
        let at_least = |part: usize, percent: usize| part > 0 && part * 100 >= self.all * percent;
        if at_least(self.cjk, 25) {
            Class::Cjk
        } else if at_least(self.quotes, 5)
            && at_least(self.structure, 5)
            && self.calls * 4 < self.quotes + self.structure
        {
            Class::Json
        } else if at_least(self.operators, 8)
            || at_least(self.operators, 3) && self.code_lines * 5 >= self.lines * 2
        {
            Class::Code
        } else {
            Class::Prose
        }
    }
}

/// Whether a line looks like one of code, by its first word or its end.
fn is_code(line: &str) -> bool {
    let text = line.trim();
    let first = text.split([' ', '(', '\t']).next().unwrap_or_default();
    let is_statement = KEYWORDS.contains(&first) && text.len() > first.len();
    is_statement && !text.ends_with(['.', '?', '!'])
        || text.ends_with([';', '{', '}', '('])
        || text.ends_with([')', ':', ',']) && line.starts_with([' ', '\t'])
}

/// Whether it is a character of Chinese, Japanese or Korean: ideographs, kana, hangul and the
/// punctuation that goes with them (Unicode's blocks of these names).
const fn is_cjk(character: char) -> bool {
    matches!(character,
        '\u{3000}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}'
        | '\u{ff00}'..='\u{ffef}'
        | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROSE: &[&str] = &[
        "",
        "hello world",
        "A weir is a low dam that is built across a river to raise the level of the water \
         upstream, or to measure how much of it flows. (The oldest are from the 2nd century.)",
        "Here is what I would do:\n\n1. **Measure first.** Don't guess where the time goes.\n\
         2. **Change one thing** at a time; note what came of it.\n3. Write it down.\n\n\
         If that isn't enough, use a profiler. For most services `perf` will do.",
        "„Das ist“, sagte sie, „nicht dasselbe – und war es nie.“ Für ihn aber war die Sache klar.",
        "Привет! Плотина измеряет расход воды; чем выше уровень, тем больше расход.",
        "She said: \"I don't know.\" He answered: \"Nor do I, but \"maybe\" isn't a word I'd use.\"",
    ];

    const CODE: &[&str] = &[
        "fn main() {\n    let total: u64 = std::env::args().skip(1).map(|arg| arg.len() as u64)\n\
         \x20       .sum();\n    println!(\"{total}\");\n}\n",
        "def read(path):\n    with open(path) as file:\n        for line in file:\n\
         \x20           if not line.strip():\n                continue\n\
         \x20           yield line.split(\",\")\n\n\nclass Reader:\n    pass\n",
        "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfor i := 0; i < 10; i++ {\n\
         \t\tfmt.Println(i)\n\t}\n}\n",
        "SELECT name, sum(cost_usd) AS cost\nFROM calls JOIN models USING (model_id)\n\
         WHERE time >= now() - interval '1 day'\nGROUP BY name\nORDER BY cost DESC;",
        "<ul class=\"list\">\n  <li><a href=\"/a\">First</a></li>\n  <li><a href=\"/b\">Second</a></li>\n</ul>",
        "const sum = (xs) => xs.reduce((a, b) => a + b, 0);\nconsole.log(sum([1, 2, 3]));",
        "#!/bin/sh\nset -eu\nfor file in \"$@\"; do\n  if [ -f \"$file\" ]; then\n    wc -l < \"$file\"\n  fi\ndone",
    ];

    const JSON: &[&str] = &[
        "{\"city\":\"Paris\",\"unit\":\"celsius\"}",
        "get_weather{\"city\":\"Paris\",\"days\":[1,2,3],\"unit\":\"celsius\"}",
        "[\n  {\n    \"id\": 17,\n    \"name\": \"north gate\",\n    \"level\": 2.31,\n    \"open\": true\n  },\n\
         \x20 {\n    \"id\": 18,\n    \"name\": \"south gate\",\n    \"level\": null\n  }\n]",
        // Its end hasn't come yet.
        "{\"file_path\": \"/srv/app/main.py\", \"limit\": 200, \"offs",
        "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},\"s\":{\"type\":\"string\"}},\"required\":[\"n\"]}",
    ];

    const CJK: &[&str] = &[
        "堰是横跨河流的低矮水坝，用来抬高上游水位或测量流量。",
        "堰（せき）は、川の水位を上げたり流量を測ったりするために造られる構造物です。",
        "보는 하천을 가로질러 물을 막거나 유량을 재기 위해 만든 낮은 댐이다.",
        "使用 Rust 编写的守护进程 weir 通过 eBPF 读取 TLS 函数的明文，并统计 token 数量。",
        "{\"城市\":\"巴黎\",\"天气\":\"晴天，气温二十五度\"}",
    ];

    #[test]
    fn texts_have_the_class_that_a_reader_would_say() {
        let classes =
            [(Class::Prose, PROSE), (Class::Code, CODE), (Class::Json, JSON), (Class::Cjk, CJK)];
        for (class, texts) in classes {
            for text in texts {
                assert_eq!(Class::of(text), class, "{text}");
            }
        }
    }

    /// What fills most of a long text counts, not what it begins with.
    #[test]
    fn a_long_text_is_looked_at_everywhere() {
        let mixed = |first: &str, second: &str| {
            Class::of(&(first.repeat(2) + &second.repeat(40_000 / second.len())))
        };
        assert_eq!(mixed(PROSE[2], CODE[0]), Class::Code);
        assert_eq!(mixed(CODE[0], PROSE[2]), Class::Prose);
        assert_eq!(mixed(PROSE[2], CJK[0]), Class::Cjk);
    }

    proptest! {
        /// And so the work is bounded.
        #[test]
        fn little_of_a_text_is_looked_at(text in "(\\PC|[ \n{}\"漢]){0,3000}", times in 1usize..40) {
            let text = text.repeat(times);
            let lengths: Vec<usize> = windows(&text).map(str::len).collect();
            prop_assert!(lengths.len() <= WINDOWS);
            prop_assert!(lengths.iter().sum::<usize>() <= text.len().min(WINDOWS * WINDOW));
            prop_assert!(Class::ALL.contains(&Class::of(&text)));
        }
    }
}
