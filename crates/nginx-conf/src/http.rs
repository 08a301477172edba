//! `http {}`: served where it only answers by itself; what else it would have served is looked at
//! before it is skipped.

use conf::{Problem, Stmt, nearest};

use crate::http_names;
use crate::http_names::is_http;
use crate::lex::Node;
use crate::table::{names, shapes};
use crate::walk::Walk;

/// One directive with what its block holds, includes already put in.
#[derive(Debug)]
struct Item {
    words: Vec<String>,
    body: Vec<Self>,
}

mod answers;

pub(crate) use answers::Site;

/// Skips an `http {}` that serves nothing anybody put there, and refuses any other.
pub(crate) fn judge(walk: &mut Walk<'_>, stmt: &Stmt, nodes: &[Node]) {
    let before = walk.binder.problems.len();
    let items = collect(walk, nodes, 0);
    let at = stmt.at();
    let servers: Vec<&Item> = items.iter().filter(|i| i.words[0] == "server").collect();
    let problem = |text: &str| Problem::Other(text.to_owned());
    if walk.binder.problems.len() > before {
        // Something is wrong with it already.
    } else if let Some(found) = answers::of(&items).filter(|found| !found.is_empty()) {
        walk.sites = found;
    } else if servers.is_empty() {
        walk.binder.notice(at, problem("\"http\" has no server and is skipped"));
    } else if servers.iter().all(|server| is_debian_default(server)) {
        let text = "\"http\" holds only Debian's default page, which is not served: port 80 stays \
                    closed";
        walk.binder.notice(at, problem(text));
    } else if walk.main.ignore_http == Some(true) {
        walk.binder.warning(at, problem("\"http\" is ignored: its sites are not served"));
    } else {
        let text = "not supported yet: \"http\" with sites; \"ignore_http on;\" before it runs \
                    without them";
        let diagnostic = walk.binder.error(at, problem(text));
        diagnostic.help = Some(
            "start with -g 'ignore_http on;' to run without these sites, or leave them to a web server"
                .into(),
        );
    }
}

/// Blocks whose contents are data.
const DATA: [&str; 7] = ["charset_map", "geo", "map", "match", "perl", "split_clients", "types"];

fn collect(walk: &mut Walk<'_>, nodes: &[Node], depth: usize) -> Vec<Item> {
    let mut items = Vec::new();
    for node in nodes {
        let (stmt, body) = match node {
            Node::Fault(span, message) => {
                walk.binder.error(*span, Problem::Other(message.clone()));
                continue;
            }
            Node::Directive(stmt, body) => (stmt, body),
        };
        let Some(first) = stmt.words.first() else { continue };
        let name = first.text.as_str();
        if name == "include" && stmt.words.len() == 2 {
            let mask = &stmt.words[1];
            for path in walk.included(mask) {
                walk.inside(path, mask, |walk, nodes| items.extend(collect(walk, nodes, depth)));
            }
            continue;
        }
        // Names of the stream context that http has, too, are http's here.
        let main_only = ["daemon", "events", "http", "mail", "pid", "stream", "user"];
        if main_only.contains(&name) || (name == "upstream" && depth > 0) {
            let (keyword, section) = (first.owned(), "http".to_owned());
            walk.binder.error(first.span, Problem::Misplaced { keyword, section });
            continue;
        }
        if !is_http(name) && shapes(name).is_empty() {
            let nearest = nearest(name, http_names::all().chain(names(conf::ANYWHERE)));
            let nearest = nearest.map(str::to_owned);
            let (word, section) = (first.owned(), "http".to_owned());
            walk.binder.error(first.span, Problem::UnknownKeyword { word, section, nearest });
            continue;
        }
        let body = match body {
            Some(body) if !DATA.contains(&name) => collect(walk, &body.nodes, depth + 1),
            _ => vec![],
        };
        items.push(Item { words: stmt.words.iter().map(|w| w.text.clone()).collect(), body });
    }
    items
}

/// Whether a server is the one Debian's nginx packages put into `sites-available/default`.
fn is_debian_default(server: &Item) -> bool {
    fn is(item: &Item, words: &[&str]) -> bool {
        item.words.iter().map(String::as_str).eq(words.iter().copied())
    }
    let [v4, v6, root, index, name, location] = server.body.as_slice() else { return false };
    is(v4, &["listen", "80", "default_server"])
        && is(v6, &["listen", "[::]:80", "default_server"])
        && is(root, &["root", "/var/www/html"])
        && is(index, &["index", "index.html", "index.htm", "index.nginx-debian.html"])
        && is(name, &["server_name", "_"])
        && is(location, &["location", "/"])
        && matches!(location.body.as_slice(), [files]
            if is(files, &["try_files", "$uri", "$uri/", "=404"]))
}
