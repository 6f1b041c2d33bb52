---@meta close
-- The types of the public API, for editors that read LuaCATS annotations.
-- Nothing requires this file. spec/docs_spec.lua compares it with the code:
-- every function and field is here, and no other.
-- Source of the fields: developer.close.com/api/resources/activities/sms/create

--- A JSON null: `close.null`, `cjson.null`, `ngx.null` or `vim.NIL`.
---@alias close.Null userdata|lightuserdata

--- An instant: RFC 3339 with an offset ("2026-11-23T09:00:00+01:00"), or
--- seconds since 1970 as os.time() gives them, sent as RFC 3339 in UTC.
---@alias close.Date string|number

---@alias close.Status
---| "inbox"     # log an SMS that was received
---| "draft"     # keep a draft; only drafts can be modified
---| "scheduled" # send it at date_scheduled
---| "outbox"    # send it now, or send_in seconds from now
---| "sent"      # log an SMS that was sent by other means; sends nothing
---| "error"

---@alias close.Direction "inbound"|"outbound"
---@alias close.Source "Close.io"|"External"

---@class close.AttachmentParams
---@field content_type string one of 40, which docs/reference.md lists
---@field filename string
---@field url string where Close fetches it

---@class close.CreateParams
---@field status close.Status
---@field activity_at? close.Date|close.Null
---@field attachments? close.AttachmentParams[]|close.Null
---@field contact_id? string|close.Null
---@field created_by_id? string|close.Null
---@field date_created? close.Date|close.Null
---@field date_scheduled? close.Date|close.Null when status is "scheduled"
---@field direction? close.Direction inbox: "inbound", otherwise "outbound"
---@field lead_id? string|close.Null
---@field local_phone? string|close.Null your number, E.164
---@field organization_id? string|close.Null
---@field remote_phone? string|close.Null the other side's number, E.164; to
---  send, it or contact_id or lead_id is required
---@field send_in? number seconds, 0 <= n < 60; with status "outbox"
---@field send_to_inbox? boolean notify the inbox too; with status "inbox"
---@field source? close.Source
---@field template_id? string|close.Null instead of text
---@field text? string|close.Null UTF-8
---@field user_id? string|close.Null
---@field extra? table further members of the body, unchecked

--- What update may change; at least the SMS must be a draft, or its status go
--- back to "draft".
---@class close.UpdateParams
---@field status? "draft"|"scheduled"|"outbox"
---@field activity_at? close.Date|close.Null
---@field attachments? close.AttachmentParams[]|close.Null
---@field contact_id? string|close.Null
---@field date_scheduled? close.Date|close.Null with status "scheduled"
---@field lead_id? string|close.Null
---@field local_phone? string|close.Null your number, E.164
---@field remote_phone? string|close.Null the other side's number, E.164
---@field send_in? number seconds, 0 <= n < 60; with status "outbox"
---@field template_id? string|close.Null instead of text
---@field text? string|close.Null UTF-8
---@field user_id? string|close.Null
---@field extra? table further members of the body, unchecked

--- What send takes: the fields of create without status and send_to_inbox.
---@class close.SendParams
---@field activity_at? close.Date|close.Null
---@field attachments? close.AttachmentParams[]|close.Null
---@field contact_id? string|close.Null
---@field created_by_id? string|close.Null
---@field date_created? close.Date|close.Null
---@field date_scheduled? close.Date|close.Null send it then, not now
---@field direction? close.Direction
---@field draft_id? string continue with this draft of an earlier send
---@field lead_id? string|close.Null
---@field local_phone? string|close.Null your number, E.164
---@field organization_id? string|close.Null
---@field remote_phone? string|close.Null the other side's number, E.164; it or
---  contact_id or lead_id is required, unless draft_id is given
---@field send_in? number seconds, 0 <= n < 60; not with date_scheduled
---@field source? close.Source
---@field template_id? string|close.Null instead of text
---@field text? string|close.Null UTF-8
---@field user_id? string|close.Null
---@field extra? table further members of the draft's body, unchecked

---@class close.GetParams
---@field fields? string[]|string only these members of the SMS

---@class close.Attachment: close.AttachmentParams
---@field size? integer bytes
---@field media_id? string
---@field thumbnail_url? string

--- What Close answers. A member that Close left null is absent; members newer
--- than this library are there too.
---@class close.SMSActivity
---@field _type string
---@field activity_at? string
---@field agent_action_reason? string
---@field agent_config_id? string
---@field attachments? close.Attachment[]
---@field contact_id? string
---@field cost? string
---@field created_by? string
---@field created_by_name? string
---@field date_created string
---@field date_scheduled? string
---@field date_sent? string
---@field date_updated string
---@field direction close.Direction
---@field error_message? string
---@field id string
---@field lead_id? string
---@field local_country_iso? string
---@field local_phone? string
---@field local_phone_formatted? string
---@field organization_id string
---@field remote_country_iso? string
---@field remote_phone? string
---@field remote_phone_formatted? string
---@field sequence_id? string
---@field sequence_name? string
---@field sequence_subscription_id? string
---@field source close.Source
---@field status close.Status
---@field template_id? string
---@field text? string
---@field updated_by? string
---@field updated_by_name? string
---@field user_id? string
---@field user_name? string
---@field users string[]

---@alias close.Kind
---| "validation"     # the parameters break a rule; see errors
---| "config"         # an option is wrong, or the client is closed
---| "connection"     # DNS, connecting, a connection that broke
---| "tls"
---| "timeout"
---| "rate_limited"   # 429
---| "authentication" # 401, or no credentials
---| "not_found"      # 404
---| "api"            # another 4xx
---| "server"         # 5xx
---| "protocol"       # an answer that cannot be read
---| "cancelled"
---| "memory"         # out of memory during the call

---@alias close.Outcome
---| "not_sent" # Close never had a whole request: safe to send again
---| "rejected" # refused, by Close or by our validation: nothing was created
---| "unknown"  # sent, and no usable answer: look before you resend

---@class close.Violation
---@field field? string such as "attachments[2].url"
---@field code? string required, type, enum, format, range, conflict, unknown_field
---@field message string

---@class close.Error
---@field kind close.Kind
---@field outcome close.Outcome
---@field message string one line
---@field errors close.Violation[] all violations, ours or Close's; may be empty
---@field status? integer HTTP status
---@field body? string the answer as it came
---@field attempts? integer requests that were begun
---@field retry_after? number seconds that Close asks to wait, 60 at most
---@field code? integer libcurl's result code
---@field draft_id? string of a send: its draft, for send{draft_id = ...}
---@field stray_drafts? integer of a send: further drafts that may be left

---@class close.RateLimit
---@field limit number
---@field remaining number
---@field reset number seconds from the answer on

---@class close.Response
---@field status integer
---@field headers table<string, string> names in lower case; see raw_headers
---@field raw_headers string the lines, of which headers are made when looked at
---@field body string
---@field attempts integer
---@field elapsed number seconds
---@field rate_limit? close.RateLimit
---@field stray_drafts? integer of a send: further drafts that may be left

--- One attempt of one call; no secrets, no text, no phone numbers.
---@class close.Event
---@field method string
---@field path string below base_url; "(storage)" for an upload's second step
---@field attempt? integer 1 for the first
---@field seconds? number
---@field status? integer
---@field kind? close.Kind of a failed attempt
---@field outcome? close.Outcome of a failed attempt
---@field code? integer libcurl's result code
---@field retry_in? number seconds to the next attempt, if there is one
---@field callback_error? string what a callback threw; then there is no attempt
---@field draft_id? string a send has made this draft; then there is no attempt

---@class close.Options
---@field api_key? string|fun(): string sent as Basic user; or CLOSE_API_KEY
---@field access_token? string|fun(): string sent as bearer; or CLOSE_ACCESS_TOKEN
---@field base_url? string or CLOSE_BASE_URL; "https://api.close.com/api/v1"
---@field timeout? number seconds for the whole call, all attempts and waits (60)
---@field attempt_timeout? number seconds for one attempt (20)
---@field connect_timeout? number seconds (10)
---@field max_retries? integer (3; of a send, as many as its timeout allows)
---@field max_in_flight? integer further calls are queued (64)
---@field max_response_bytes? integer of one body (1 MiB)
---@field ca_file? string PEM; the system's authorities otherwise
---@field proxy? string http, https, socks4(a) or socks5(h) URL
---@field http2? boolean speak HTTP/2 with servers that offer it (false)
---@field user_agent? string put before ours
---@field loop? "auto"|"blocking"|"poll"|"luv"|"ngx" how to wait
---@field on_event? fun(event: close.Event)
---@field on_draft? fun(draft_id: string): any send calls it before it promotes

---@class close.CallOptions
---@field timeout? number seconds
---@field max_retries? integer
---@field on_draft? fun(draft_id: string): any of send alone

---@class close.RequestOptions
---@field query? table<string, string|number|boolean>
---@field body? table sent as JSON
---@field repeatable? boolean whether a second copy does no harm; by the method
---@field timeout? number seconds
---@field max_retries? integer

--- The filters of a list, combined with "and". A comma list is a list of
--- strings, or a string with commas. The plain names stand for those with `_`.
---@class close.Filters
---@field _limit? integer items of a page, at least 1; Close's default is 100
---@field _skip? integer items to leave out at the start
---@field _fields? string|string[] the members to return
---@field limit? integer `_limit`
---@field skip? integer `_skip`
---@field fields? string|string[] `_fields`
---@field id__in? string|string[]
---@field lead_id? string|string[]
---@field contact_id? string|string[]
---@field user_id? string|string[]
---@field organization_id? string
---@field date_created__gte? close.Date
---@field date_created__lte? close.Date
---@field date_created__gt? close.Date
---@field date_created__lt? close.Date
---@field activity_at__gte? close.Date
---@field activity_at__lte? close.Date
---@field activity_at__gt? close.Date
---@field activity_at__lt? close.Date

---@class close.Page
---@field data close.SMSActivity[] newest first; may be empty
---@field has_more boolean

---@class close.SMS
local SMS = {}

--- Creates an SMS activity; "outbox" sends it.
---@param params close.CreateParams not changed
---@param options? close.CallOptions
---@return close.SMSActivity? sms
---@return close.Error? err
---@return close.Response? response
function SMS.create(params, options) end

--- The same without waiting. The callback is called exactly once, later than
--- this returns, with what create would return.
---@param params close.CreateParams not changed
---@param callback fun(sms?: close.SMSActivity, err?: close.Error, response?: close.Response)
---@param options? close.CallOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function SMS.create_async(params, callback, options) end

--- Sends a message, exactly once: makes a draft, promotes it, and looks at it
--- where the promotion's end is not known.
---@param params close.SendParams not changed
---@param options? close.CallOptions
---@return close.SMSActivity? sms
---@return close.Error? err with err.draft_id, if there is a draft
---@return close.Response? response
function SMS.send(params, options) end

--- The same without waiting.
---@param params close.SendParams not changed
---@param callback fun(sms?: close.SMSActivity, err?: close.Error, response?: close.Response)
---@param options? close.CallOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function SMS.send_async(params, callback, options) end

--- Gets one SMS.
---@param id string
---@param params? close.GetParams
---@param options? close.CallOptions
---@return close.SMSActivity? sms
---@return close.Error? err
---@return close.Response? response
function SMS.get(id, params, options) end

--- The same without waiting; params may be left out.
---@param id string
---@param params? close.GetParams
---@param callback fun(sms?: close.SMSActivity, err?: close.Error, response?: close.Response)
---@param options? close.CallOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function SMS.get_async(id, params, callback, options) end

--- Changes some fields of an SMS.
---@param id string
---@param params close.UpdateParams not changed
---@param options? close.CallOptions
---@return close.SMSActivity? sms
---@return close.Error? err
---@return close.Response? response
function SMS.update(id, params, options) end

--- The same without waiting.
---@param id string
---@param params close.UpdateParams not changed
---@param callback fun(sms?: close.SMSActivity, err?: close.Error, response?: close.Response)
---@param options? close.CallOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function SMS.update_async(id, params, callback, options) end

--- Takes a message that was not sent yet back to a draft.
---@param id string
---@param options? close.CallOptions
---@return close.SMSActivity? sms
---@return close.Error? err
---@return close.Response? response
function SMS.cancel(id, options) end

--- The same without waiting.
---@param id string
---@param callback fun(sms?: close.SMSActivity, err?: close.Error, response?: close.Response)
---@param options? close.CallOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function SMS.cancel_async(id, callback, options) end

--- Deletes an SMS.
---@param id string
---@param options? close.CallOptions
---@return true? deleted
---@return close.Error? err
---@return close.Response? response
function SMS.delete(id, options) end

--- The same without waiting.
---@param id string
---@param callback fun(deleted?: true, err?: close.Error, response?: close.Response)
---@param options? close.CallOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function SMS.delete_async(id, callback, options) end

--- Checks params without any network.
---@param params close.CreateParams
---@return true? ok
---@return close.Error? err of kind "validation", all violations in err.errors
function SMS.validate(params) end

--- One page of SMS, as Close answers it.
---@param filters? close.Filters not changed
---@param options? close.CallOptions
---@return close.Page? page
---@return close.Error? err
---@return close.Response? response
function SMS.list(filters, options) end

--- The same without waiting.
---@param filters? close.Filters not changed
---@param callback fun(page?: close.Page, err?: close.Error, response?: close.Response)
---@param options? close.CallOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function SMS.list_async(filters, callback, options) end

--- Steps through all SMS, newest first; each page is asked for when it is
--- needed. A step returns an SMS; after the last one nil; where it fails, once,
--- false and an error, so that no loop ends as if that was all.
---@param filters? close.Filters not changed
---@param options? close.CallOptions for each page
---@return (fun(): close.SMSActivity|false|nil, close.Error?, close.Response?)? step
---@return close.Error? err
function SMS.each(filters, options) end

--- The same without waiting. The callback is called once for each SMS, and at
--- the end without one: with an error, unless that was all. Where it returns
--- false nothing more comes.
---@param filters? close.Filters not changed
---@param callback fun(sms?: close.SMSActivity, err?: close.Error, response?: close.Response): boolean?
---@param options? close.CallOptions for each page
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function SMS.each_async(filters, callback, options) end

--- Bytes in place of a path.
---@class close.FileData
---@field data string 1 byte to 16 MiB

--- What is said of a file.
---@class close.FileInfo
---@field content_type? string one of the 40; by default from the filename's ending
---@field filename? string the path's last part, unless given

---@class close.Files
local Files = {}

--- Uploads a file, so that an SMS can have it as an attachment.
---@param source string|close.FileData a path, or bytes
---@param info? close.FileInfo not changed
---@param options? close.CallOptions
---@return close.AttachmentParams? attachment
---@return close.Error? err
---@return close.Response? response
function Files.upload(source, info, options) end

--- The same without waiting; the file is read at once. The callback is called
--- exactly once, later than this returns, with what upload would return.
---@param source string|close.FileData a path, or bytes
---@param info? close.FileInfo not changed
---@param callback fun(attachment?: close.AttachmentParams, err?: close.Error, response?: close.Response)
---@param options? close.CallOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function Files.upload_async(source, info, callback, options) end

--- A call that was begun without waiting for it.
---@class close.Request
local Request = {}

--- Ends the call; its callback gets an error of kind "cancelled".
---@return boolean was_pending
function Request:cancel() end

---@class close.Client
---@field sms close.SMS
---@field files close.Files
local Client = {}

--- Any request of Close's API, for what this library has no verb for.
---@param method "GET"|"POST"|"PUT"|"PATCH"|"DELETE"
---@param path string below base_url, such as "/lead/"
---@param options? close.RequestOptions
---@return any value the decoded JSON; true for an empty body
---@return close.Error? err
---@return close.Response? response
function Client:request(method, path, options) end

--- The same without waiting.
---@param method "GET"|"POST"|"PUT"|"PATCH"|"DELETE"
---@param path string below base_url, such as "/lead/"
---@param callback fun(value?: any, err?: close.Error, response?: close.Response)
---@param options? close.RequestOptions
---@return close.Request? request
---@return close.Error? err of kind "config": the callback is not called
function Client:request_async(method, path, callback, options) end

--- Does work that is ready, without waiting, for about half a millisecond.
---@return integer? pending
---@return close.Error? err
function Client:poll() end

--- Waits, in the host's way, until nothing is pending or the time is over.
---@param seconds? number no limit by default
---@return integer? pending
---@return close.Error? err
function Client:wait(seconds) end

--- How many calls are not over.
---@return integer pending
function Client:pending() end

--- Ends what is pending as cancelled, and the connections. May be called twice.
function Client:close() end

--- How a text travels as SMS.
---@class close.Segments
---@field encoding "GSM-7"|"UCS-2"
---@field segments integer how many SMS it takes; 0 for an empty text
---@field units integer septets (GSM-7) or UTF-16 code units (UCS-2) of the text
---@field remaining integer units that are free in the last segment
---@field per_segment integer 160 or 153 (GSM-7), 70 or 67 (UCS-2)
---@field forced_by string[] the first 32 distinct characters that forced UCS-2

---@class close
---@field _VERSION string
---@field null close.Null
---@field sms close.SMS the default client's
---@field files close.Files the default client's
local close = {}

--- Makes a client of one's own.
---@param options? close.Options
---@return close.Client? client
---@return close.Error? err of kind "config"
function close.new(options) end

--- Makes a new default client, which close.sms uses, and closes the one before.
---@param options? close.Options
---@return close.Client? client
---@return close.Error? err of kind "config"
function close.configure(options) end

--- Counts the segments of a text, without any network.
---@param text string UTF-8
---@return close.Segments? segments
---@return close.Error? err of kind "validation"
function close.segments(text) end

return close
