-- SPDX-License-Identifier: Apache-2.0
-- Refreshes the idle time of the entries that this consumer still owns. JUSTID leaves the delivery count alone. An entry that
-- is there but that nobody owns (its consumer was deleted by hand) is taken back by the one who has it in hand.
-- KEYS stream   ARGV group, consumer, then the ids
-- → {1 if the group is gone, for each id: 0 owned, 1 fenced}
local answer = {0}
for i = 3, #ARGV do
  local fenced = 1
  if answer[1] == 0 and string.find(ARGV[i], '^%d+%-%d+$') then
    local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
    if pending.err then
      if not string.find(pending.err, 'NOGROUP', 1, true) then
        return pending
      end
      answer[1] = 1
    elseif #pending == 1 or #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1) == 0 then
      -- An entry whose body was deleted is not answered by XCLAIM: there is nothing left to own. FORCE: where nobody owned it.
      local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'FORCE', 'JUSTID')
      fenced = #claimed == 1 and 0 or 1
    end
  end
  answer[#answer + 1] = fenced
end
return answer
