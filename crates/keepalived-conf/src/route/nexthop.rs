//! `nexthop via <addr> [dev <ifname>] [weight <1..256>] [onlink] [realms <realm>]`

use vrrp::config::{NextHop, RouteConfig};

use super::{Reader, Refused, Step};

/// Reads all nexthops, which end the line.
pub(super) fn read(reader: &mut Reader<'_, '_>, route: &mut RouteConfig) -> Step {
    while let Some(word) = reader.line.words.get(reader.at) {
        if word.text != "nexthop" {
            let said = format!("Route has trailing nonsense after nexthops - {}", word.text);
            reader.say(word.span, said);
            return Ok(());
        }
        reader.at += 1;
        let mut hop = NextHop { weight: 1, ..NextHop::default() };
        match one(reader, &mut hop) {
            Ok(()) => route.nexthops.push(hop),
            // keepalived goes on with what it has; a way that is only half known is none here.
            Err(Refused) => return Ok(()),
        }
    }
    Ok(())
}

fn one(reader: &mut Reader<'_, '_>, hop: &mut NextHop) -> Step {
    while let Some(word) = reader.line.words.get(reader.at) {
        match word.text.as_str() {
            "via" => {
                reader.at += 1;
                if ["inet", "inet6"].contains(&reader.line.word(reader.at)) {
                    reader.at += 1;
                }
                let word = reader.argument()?;
                let text = &word.text;
                let Ok(via) = text.parse::<std::net::IpAddr>() else {
                    let said = format!(
                        "VRRP parsed invalid IP {text}. skipping IP...\ninvalid nexthop address {text}"
                    );
                    return reader.refuse(word.span, said);
                };
                if reader.family.is_some_and(|ipv6| ipv6 != via.is_ipv6()) {
                    return reader.refuse(word.span, "IPv4/6 mismatch for nexthop".to_owned());
                }
                reader.family = Some(via.is_ipv6());
                hop.via = Some(via);
            }
            "dev" | "oif" => {
                reader.at += 1;
                hop.interface = Some(reader.interface()?);
            }
            "weight" => {
                reader.at += 1;
                let word = reader.argument()?;
                let weight = reader.checked(word, 256, "Invalid weight {} specified for route")?;
                if weight == 0 {
                    reader.say(word.span, "Invalid weight 0 specified for route".to_owned());
                }
                hop.weight = u16::try_from(weight.max(1)).unwrap_or(1);
            }
            "onlink" => {
                reader.at += 1;
                hop.onlink = true;
            }
            "realms" => {
                reader.at += 1;
                hop.realms = Some(reader.realms()?);
            }
            "encap" => {
                let problem = conf::Problem::Planned { keyword: "encap of a route".to_owned() };
                reader.b.error(word.span, problem).context.push_str(crate::wording::CHILD);
                return Err(Refused);
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}
