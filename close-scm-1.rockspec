rockspec_format = "3.0"
package = "close"
version = "scm-1"

-- Whoever publishes this fills in the repository. `luarocks make` builds what is
-- in the current directory, and never asks.
source = {
  url = "git+file:///path/to/close",
}

description = {
  summary = "Text messages through the Close CRM's API, never sent twice",
  detailed = [[
    close.sms.create{...} posts an SMS activity to Close and returns it as a
    table. Every failure says whether Close has the message. The HTTP side is
    libcurl, driven by a thin C core.
  ]],
  license = "MIT",
  labels = { "sms", "http", "api", "crm" },
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.1, < 5.5",
  "lua-cjson >= 2.1.0",
}

external_dependencies = {
  CURL = { library = "curl" },
}

build = {
  type = "builtin",
  modules = {
    ["close"] = "lua/close.lua",
    ["close.activity"] = "lua/close/activity.lua",
    ["close.client"] = "lua/close/client.lua",
    ["close.drain"] = "lua/close/drain.lua",
    ["close.each"] = "lua/close/each.lua",
    ["close.driver"] = "lua/close/driver.lua",
    ["close.errors"] = "lua/close/errors.lua",
    ["close.files"] = "lua/close/files.lua",
    ["close.handle"] = "lua/close/handle.lua",
    ["close.json"] = "lua/close/json.lua",
    ["close.live"] = "lua/close/live.lua",
    ["close.loop"] = "lua/close/loop.lua",
    ["close.loop.blocking"] = "lua/close/loop/blocking.lua",
    ["close.loop.luv"] = "lua/close/loop/luv.lua",
    ["close.loop.ngx"] = "lua/close/loop/ngx.lua",
    ["close.loop.ngx_interval"] = "lua/close/loop/ngx_interval.lua",
    ["close.loop.ngx_poller"] = "lua/close/loop/ngx_poller.lua",
    ["close.loop.ngx_timers"] = "lua/close/loop/ngx_timers.lua",
    ["close.loop.poll"] = "lua/close/loop/poll.lua",
    ["close.memory"] = "lua/close/memory.lua",
    ["close.operation"] = "lua/close/operation.lua",
    ["close.options"] = "lua/close/options.lua",
    ["close.pages"] = "lua/close/pages.lua",
    ["close.params"] = "lua/close/params.lua",
    ["close.protect"] = "lua/close/protect.lua",
    ["close.question"] = "lua/close/question.lua",
    ["close.raw"] = "lua/close/raw.lua",
    ["close.raw_pairs"] = "lua/close/raw_pairs.lua",
    ["close.request"] = "lua/close/request.lua",
    ["close.resource"] = "lua/close/resource.lua",
    ["close.send"] = "lua/close/send.lua",
    ["close.sms"] = "lua/close/sms.lua",
    ["close.storage"] = "lua/close/storage.lua",
    ["close.types"] = "lua/close/types.lua",
    ["close.user"] = "lua/close/user.lua",
    ["close.walk"] = "lua/close/walk.lua",
    ["close.core"] = {
      sources = {
        "src/core/clo_buf.c",
        "src/core/clo_field.c",
        "src/core/clo_filter.c",
        "src/core/clo_format.c",
        "src/core/clo_hint.c",
        "src/core/clo_json.c",
        "src/core/clo_pace.c",
        "src/core/clo_policy.c",
        "src/core/clo_segments.c",
        "src/core/clo_sms.c",
        "src/core/clo_unknown.c",
        "src/core/clo_upload.c",
        "src/core/clo_violations.c",
        "src/http/clo_attempts.c",
        "src/http/clo_clock.c",
        "src/http/clo_coding.c",
        "src/http/clo_curl.c",
        "src/http/clo_engine.c",
        "src/http/clo_libcurl.c",
        "src/http/clo_list.c",
        "src/http/clo_process.c",
        "src/http/clo_result.c",
        "src/http/clo_sockets.c",
        "src/http/clo_transfer.c",
        "src/http/clo_url.c",
        "src/lua/lclo_answer.c",
        "src/lua/lclo_apart.c",
        "src/lua/lclo_core.c",
        "src/lua/lclo_engine.c",
        "src/lua/lclo_filter.c",
        "src/lua/lclo_read.c",
        "src/lua/lclo_segments.c",
        "src/lua/lclo_sms.c",
        "src/lua/lclo_upload.c",
      },
      incdirs = { "src/core", "src/http", "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
      libraries = { "curl", "pthread" },
      defines = { "_POSIX_C_SOURCE=200809L" },
    },
  },
  copy_directories = { "docs", "examples" },
}

test = { type = "command", command = "make test" }
