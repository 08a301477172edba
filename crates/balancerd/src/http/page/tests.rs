//! What an address and a form ask for.

use super::*;

#[test]
fn an_address_says_how_the_page_is_to_be() {
    let asked = Asked::parse(b"/haproxy?stats;csv;norefresh", "/haproxy?stats");
    assert_eq!(asked, Asked { csv: true, no_refresh: true, ..Asked::default() });
    let asked = Asked::parse(b"/s;up;no-maint?scope=web&st=DONE", "/s");
    assert!(asked.up && asked.no_maintenance);
    assert_eq!((asked.scope.as_str(), asked.result.as_str()), ("web", "DONE"));
}

#[test]
fn values_of_forms_are_decoded() {
    assert_eq!(decoded(b"%233+a%2fb%"), "#3 a/b%");
}

#[test]
fn only_a_form_of_the_same_origin_is_obeyed() {
    let request = |headers: &str| {
        let text = format!("POST /s HTTP/1.1\r\nHost: lb:80\r\n{headers}\r\n");
        Request::parse(text.as_bytes()).expect("a request").expect("whole").0
    };
    assert!(same_origin(&request("")), "no browser");
    assert!(same_origin(&request("Origin: http://lb:80\r\n")));
    assert!(!same_origin(&request("Origin: http://evil\r\n")));
    assert!(!same_origin(&request("Origin: null\r\n")));
    assert!(!same_origin(&request("Referer: http://evil/lb:80\r\n")));
    assert!(same_origin(&request("Sec-Fetch-Site: same-origin\r\nOrigin: http://x\r\n")));
    assert!(!same_origin(&request("Sec-Fetch-Site: cross-site\r\nOrigin: http://lb:80\r\n")));
}

#[test]
fn a_scope_hides_other_proxies_from_the_table() {
    let stats = Stats { scope: vec!["a".into()], ..Stats::default() };
    assert_eq!(scoped_csv("# pxname,\na,1,\nab,2,\n", &stats), "# pxname,\na,1,\n");
}
