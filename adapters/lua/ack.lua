-- SPDX-License-Identifier: Apache-2.0
-- Removes entries that this consumer still owns, and their inflight mark where it still holds this very id. An entry that is
-- there but that nobody owns (its consumer was deleted by hand) is removed too: no one else would ever get it.
-- KEYS stream, inflight   ARGV group, consumer, then for each entry: id, job key ('' for none)
-- → {1 if the group is gone, for each id: 0 owned and removed, 1 fenced}
redis.call('HLEN', KEYS[2]) -- a key of a wrong type fails here, before anything is written
local answer = {0}
local function is_nobodys(id)
  return #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) == 0 and #redis.call('XRANGE', KEYS[1], id, id, 'COUNT', 1) == 1
end
for i = 3, #ARGV, 2 do
  local id, key, fenced = ARGV[i], ARGV[i + 1], 1
  if answer[1] == 0 and string.find(id, '^%d+%-%d+$') then
    local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])
    if pending.err then
      if not string.find(pending.err, 'NOGROUP', 1, true) then
        return pending
      end
      answer[1] = 1
    elseif #pending == 1 or is_nobodys(id) then
      redis.call('XACK', KEYS[1], ARGV[1], id)
      redis.call('XDEL', KEYS[1], id)
      if key ~= '' and redis.call('HGET', KEYS[2], key) == id then
        redis.call('HDEL', KEYS[2], key)
      end
      fenced = 0
    end
  end
  answer[#answer + 1] = fenced
end
return answer
