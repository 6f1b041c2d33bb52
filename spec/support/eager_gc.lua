-- A helper for busted: the collector never pauses, so that a value that is not
-- held properly is gone as soon as it can be.
collectgarbage("setpause", 0)
collectgarbage("setstepmul", 1000)
