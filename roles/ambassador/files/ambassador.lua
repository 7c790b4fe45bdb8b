-- What HAProxy's configuration language cannot say.

local ROOM = "room"    -- the server line that leads into the waiting room of a service
local STEP_MS = 20     -- how often somebody in a waiting room looks whether it can go on
local WATCH_MS = 50    -- how often services are looked at whose connections may have to be cut
local UNITS = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }

-- The configuration says these things in its environment: Lua files take no arguments before HAProxy 2.8.
local function names_in(variable)
    local names = {}
    for name in (os.getenv(variable) or ""):gmatch("%S+") do
        names[name] = true
    end
    return names
end

local single_writers = names_in("AMBASSADOR_SINGLE_WRITERS")
local cutting = names_in("AMBASSADOR_CUTTING")

local function milliseconds(text)
    local number, unit = text:match("^(%d+)(%a+)$")
    return tonumber(number) * UNITS[unit]
end

local function now_ms()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

local CONNECT_MS = milliseconds(os.getenv("AMBASSADOR_CONNECT_TIMEOUT"))

local function is_usable(status)
    return status:sub(1, 2) == "UP" or status == "no check"
end

local function usable_servers(backend)
    local count = 0
    for name, server in pairs(core.backends[backend].servers) do
        if name ~= ROOM and is_usable(server:get_stats()["status"]) then
            count = count + 1
        end
    end
    return count
end

-- Where nobody passes the check (or two claim to be the one writer), HAProxy would close a new connection at once.
-- Its own inspect-delay does not help: rules are looked at again when data arrives or the delay ends, and MySQL's
-- client says nothing before the server does. So such connections go through a waiting room, and this lets them out.
-- Every look is a call of its own: HAProxy 2.6 forgets to wake up a function that sleeps (core.msleep) when it was
-- held up for longer than the sleep. The room's inspect-delay is the limit as well, and would wake it up in any case.
core.register_action("lamp_wait", {"tcp-req"}, function(txn, backend, limit)
    local usable = usable_servers(backend)
    if usable == 1 or (usable > 1 and not single_writers[backend]) then
        return act.CONTINUE
    end
    local deadline = txn:get_priv()
    if not deadline then
        deadline = now_ms() + milliseconds(limit) - STEP_MS
        txn:set_priv(deadline)
    end
    if now_ms() >= deadline then
        return act.DENY
    end
    act.wake_time(STEP_MS)
    return act.YIELD
end, 2)

-- Two that both pass the writer's check: neither is trusted, so nobody stays connected to either.
local function cut_rivals(backend)
    if usable_servers(backend) > 1 then
        for name, server in pairs(core.backends[backend].servers) do
            if name ~= ROOM then
                server:shut_sess()
            end
        end
    end
end

-- Who is connected to a server that is out is cut off. HAProxy's own on-marked-down does that as well, but it also closes
-- connections that are still trying to get there. Where a server does not answer at all they get the time to give up and
-- to go elsewhere by themselves.
local was_usable, cut_at = {}, {}

local function cut_lost(backend)
    for name, server in pairs(core.backends[backend].servers) do
        local key = backend .. "/" .. name
        local stats = server:get_stats()
        local usable = is_usable(stats["status"])
        if usable then
            cut_at[key] = nil
        elseif was_usable[key] and stats["status"]:sub(1, 4) == "DOWN" then
            local silent = stats["check_status"]:match("L[46]TOUT")
            cut_at[key] = now_ms() + (silent and CONNECT_MS + WATCH_MS or 0)
        end
        was_usable[key] = usable
        if cut_at[key] and now_ms() >= cut_at[key] then
            server:shut_sess()
            cut_at[key] = nil
        end
    end
end

core.register_task(function()
    while true do
        for backend in pairs(single_writers) do
            cut_rivals(backend)
        end
        for backend in pairs(cutting) do
            cut_lost(backend)
        end
        core.msleep(WATCH_MS)
    end
end)

local function quoted(text)
    return '"' .. text:gsub('[%c"\\]', "") .. '"'
end

-- GET /services: {"mysql": {"db1": "UP", "db2": "DOWN"}}
core.register_service("lamp_services", "http", function(applet)
    local services = {}
    for backend, proxy in pairs(core.backends) do
        local servers = {}
        for name, server in pairs(proxy.servers) do
            if name ~= ROOM then
                table.insert(servers, quoted(name) .. ": " .. quoted(server:get_stats()["status"]))
            end
        end
        table.sort(servers)
        if #servers > 0 then
            table.insert(services, quoted(backend) .. ": {" .. table.concat(servers, ", ") .. "}")
        end
    end
    table.sort(services)
    local body = "{" .. table.concat(services, ", ") .. "}\n"
    applet:set_status(200)
    applet:add_header("content-type", "application/json")
    applet:add_header("content-length", #body)
    applet:start_response()
    applet:send(body)
end)
