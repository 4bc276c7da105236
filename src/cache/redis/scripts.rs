//! What has to happen in one step, each with one key.

use std::time::Duration;

use redis::{Script, ScriptInvocation};

/// Puts a value where another one, or none, still is; else gives what is there. What is no value at all, or too long for one, counts
/// as none.
const REPLACE: &str = "
    local there = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[4])
    if type(there) == 'table' or #there > tonumber(ARGV[4]) then there = '' end
    if there ~= ARGV[1] then return there end
    if ARGV[3] == '0' then
        redis.call('SET', KEYS[1], ARGV[2])
    else
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    end
    return false";

/// Gives the time, 0 if someone else has it, or -1 if someone had it in vain a moment ago.
const ACQUIRE: &str = "
    if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
        local time = redis.call('TIME')
        return time[1] * 1000000 + time[2]
    end
    if redis.call('GET', KEYS[1]) == '' then return -1 end
    return 0";

const RENEW: &str = "
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// Leaves word that it was in vain, unless that is for no time.
const RELEASE: &str = "
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
    redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
    return 1";

/// Scripts, sent whole only to servers that do not know them.
pub(super) struct Scripts {
    replace: Script,
    acquire: Script,
    renew: Script,
    release: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        let [replace, acquire, renew, release] = [REPLACE, ACQUIRE, RENEW, RELEASE].map(Script::new);
        Self { replace, acquire, renew, release }
    }
}

impl Scripts {
    pub(super) fn replace(&self, key: &str, old: &[u8], new: &[u8], life: Option<Duration>) -> ScriptInvocation<'_> {
        let mut invocation = self.replace.key(key);
        invocation.arg(old).arg(new).arg(life.map_or(0, millis)).arg(super::LONGEST);
        invocation
    }

    pub(super) fn acquire(&self, key: &str, token: &str, life: Duration) -> ScriptInvocation<'_> {
        of_token(&self.acquire, key, token, life)
    }

    pub(super) fn renew(&self, key: &str, token: &str, life: Duration) -> ScriptInvocation<'_> {
        of_token(&self.renew, key, token, life)
    }

    pub(super) fn release(&self, key: &str, token: &str, in_vain: Duration) -> ScriptInvocation<'_> {
        of_token(&self.release, key, token, in_vain)
    }
}

fn of_token<'a>(script: &'a Script, key: &str, token: &str, life: Duration) -> ScriptInvocation<'a> {
    let mut invocation = script.key(key);
    invocation.arg(token).arg(millis(life));
    invocation
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}
