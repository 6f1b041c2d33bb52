-- Certificates of the tests, made with the openssl command: an authority, and
-- what it signed for 127.0.0.1 and localhost, in the past, or for another
-- host; a self-signed one; and an authority that signed none of them.
local process = require "spec.support.process"

local certificates = {}

local CONFIG = [[
[req]
distinguished_name = name
prompt = no
[name]
CN = close-test
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[here]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
[elsewhere]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:elsewhere.example
[ca]
default_ca = tests
[tests]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
[any]
commonName = supplied
]]

local SCRIPT = [[
exec 2>openssl.log
set -e
: >index.txt
new='-config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl req $new -x509 -days 30 -extensions authority -subj /CN=close-test-ca \
  -keyout ca.key -out ca.pem
openssl req $new -x509 -days 30 -extensions authority -subj /CN=other-ca \
  -keyout other.key -out other_ca.pem
openssl req $new -subj /CN=localhost -keyout server.key -out server.csr
openssl req -config openssl.cnf -x509 -days 30 -extensions here \
  -subj /CN=localhost -key server.key -out self_signed.pem
sign() {
  openssl ca -config openssl.cnf -batch -notext -in server.csr \
    -out "$1.pem" -extensions "$2" -startdate "$3" -enddate "$4"
}
sign good here 20200101000000Z 20991231235959Z
sign expired here 20200101000000Z 20200201000000Z
sign wrong_host elsewhere 20200101000000Z 20991231235959Z
]]

-- Makes them in a directory: server.key, and *.pem named ca, other_ca, good,
-- expired, wrong_host and self_signed.
function certificates.make(dir)
  local config = assert(io.open(dir .. "/openssl.cnf", "w"))
  config:write(CONFIG)
  config:close()
  local script = "cd " .. process.quote(dir) .. "\n" .. SCRIPT
  if process.run(process.unsanitized{ "sh", "-c", script }) then return end
  local log = io.open(dir .. "/openssl.log")
  error("openssl failed: " .. (log and log:read("*a") or ""), 0)
end

return certificates
