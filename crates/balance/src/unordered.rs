//! The algorithms that keep nothing between picks: `first` and `random`.

use crate::pool::Server;
use crate::random::Random;

/// `balance first`: the lowest id with a free slot.
pub(crate) fn first(
    servers: &[Server],
    group: usize,
    avoid: Option<u32>,
    free: impl Fn(u32) -> bool,
) -> Option<u32> {
    let candidates = (0..servers.len() as u32).filter(|&index| {
        let server = &servers[index as usize];
        server.usable() && usize::from(server.config.backup) == group && free(index)
    });
    candidates.min_by_key(|&index| (avoid == Some(index), servers[index as usize].config.id))
}

/// `balance random`: the least loaded of `draws` servers drawn by weight.
pub(crate) fn draw(
    servers: &[Server],
    group: usize,
    draws: u32,
    random: &mut Random,
    avoid: Option<u32>,
    free: impl Fn(u32) -> bool,
) -> Option<u32> {
    let eligible = |avoid: Option<u32>| {
        let free = &free;
        (0..servers.len() as u32).filter(move |&index| {
            let server = &servers[index as usize];
            server.usable()
                && usize::from(server.config.backup) == group
                && avoid != Some(index)
                && free(index)
        })
    };
    let avoid = if eligible(avoid).next().is_some() { avoid } else { None };
    let weight = |index: u32| servers[index as usize].effective;
    let total: u32 = eligible(avoid).map(weight).sum();
    if total == 0 {
        return None;
    }
    let load = |index: u32| {
        let server = &servers[index as usize];
        u64::from(server.served + server.queue.len())
    };
    let mut best: Option<u32> = None;
    for _ in 0..draws {
        let mut point = random.below(total);
        let drawn = eligible(avoid).find(|&index| match point.checked_sub(weight(index)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })?;
        best = Some(match best {
            // Load per weight, without dividing.
            Some(best)
                if load(drawn) * u64::from(weight(best))
                    >= load(best) * u64::from(weight(drawn)) =>
            {
                best
            }
            _ => drawn,
        });
    }
    best
}
