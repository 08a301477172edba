use super::*;

fn nodes(text: &str) -> (Sources, Vec<Node>) {
    let mut sources = Sources::default();
    let file = sources.add("t", text);
    let nodes = lex(&sources, file, Kind::File);
    (sources, nodes)
}

fn words(text: &str) -> Vec<String> {
    match nodes(text).1.first() {
        Some(Node::Directive(stmt, _)) => stmt.words.iter().map(|w| w.text.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

fn faults(text: &str) -> Vec<String> {
    fn collect(nodes: Vec<Node>, found: &mut Vec<String>) {
        for node in nodes {
            match node {
                Node::Fault(_, message) => found.push(message),
                Node::Directive(_, Some(body)) => collect(body.nodes, found),
                Node::Directive(..) => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(nodes(text).1, &mut found);
    found
}

#[test]
fn a_word_ends_at_a_blank_a_semicolon_or_an_opening_brace() {
    assert_eq!(words("a b\tc\r\nd;"), ["a", "b", "c", "d"]);
    assert_eq!(words("a b{}"), ["a", "b"]);
    // A closing brace, a hash and a quote are special only where a word begins.
    assert_eq!(words("a k} b#c d\"e f'g;"), ["a", "k}", "b#c", "d\"e", "f'g"]);
    assert_eq!(words("a # b { } ;\n c;"), ["a", "c"]);
}

#[test]
fn quotes_keep_what_they_hold_and_escapes_are_undone() {
    assert_eq!(words(r#"a "b ; { } # c" 'd "e"';"#), ["a", "b ; { } # c", "d \"e\""]);
    assert_eq!(words("a \"b\nc\" \"\";"), ["a", "b\nc", ""]);
    assert_eq!(
        words(r#"a \"b\" "c\td" e\;f \$g \\;"#),
        ["a", "\"b\"", "c\td", "e\\;f", "\\$g", "\\"]
    );
    assert_eq!(words("a \"b\")c;"), ["a", "b", ")c"]);
}

#[test]
fn a_brace_after_a_dollar_belongs_to_the_word() {
    assert_eq!(words("a ${b}c x$${d};"), ["a", "${b}c", "x$${d}"]);
    assert_eq!(words("a ${;"), ["a", "${"]);
}

#[test]
fn faults_are_said_as_nginx_says_them() {
    assert_eq!(faults("a b }"), ["unexpected \"}\"", "unexpected \"}\""]);
    assert_eq!(faults(";"), ["unexpected \";\""]);
    assert_eq!(faults("{ }"), ["unexpected \"{\""]);
    assert_eq!(faults("a 'b'c; d;"), ["unexpected \"c\""]);
    assert_eq!(faults("a {"), ["unexpected end of file, expecting \"}\""]);
    assert_eq!(faults("a { b"), ["unexpected end of file, expecting \";\" or \"}\""]);
    assert_eq!(faults("a \"b"), ["unexpected end of file, expecting \";\" or \"}\""]);
    assert_eq!(faults("a \\"), ["unexpected end of file, expecting \";\" or \"}\""]);
    assert_eq!(
        faults(&format!("a \"{}\";", "x".repeat(5000))),
        ["too long parameter, probably missing terminating \"\"\" character"]
    );
    assert_eq!(
        faults(&format!("a {};", "x".repeat(5000))),
        ["too long parameter \"xxxxxxxxxx...\" started"]
    );
}

#[test]
fn the_line_of_a_complaint_is_that_of_the_terminator() {
    let (sources, nodes) = nodes("a\n b\n;\nc {\n}\n");
    let lines: Vec<usize> = nodes
        .iter()
        .map(|node| match node {
            Node::Directive(stmt, _) => line_of_terminator(&sources, stmt.at()),
            Node::Fault(span, _) => line_of_terminator(&sources, *span),
        })
        .collect();
    assert_eq!(lines, [3, 4]);
}

#[test]
fn nesting_and_length_are_bounded() {
    let said = faults(&"a { ".repeat(1000));
    assert_eq!(said[0], "blocks are nested more than 64 levels deep");
    assert_eq!(faults(&"x".repeat(10 << 20)).len(), 1);
    assert_eq!(faults(&" ".repeat(10 << 20)).len(), 0);
    assert_eq!(faults(&"#".repeat(10 << 20)).len(), 0);
}
