# Configuration: mistakes that nginx -t finds, with the file, the line (the
# one marked HERE) and what to write; inheritance.  What runs, runs in a
# single process here (master_process off).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Chat::Nginx;
use Test::Nginx::Socket 'no_plan';

Chat::Nginx::setup(workers => 1, single => 1);

our $Http = http_config();
our $App = app_config();
our $Database = "chat_database $ENV{TEST_NGINX_SERVROOT}/cache/chat.db;\n";

our $Config = <<'END';
    location = /messages {
        chat_history  chat;
        chat_publish  chat new_message;
    }
    location /app/ { chat_websocket; }
END

run_tests();

__DATA__

=== TEST 1: chat_history of an unknown app
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history chat app=99; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*unknown app "99".*"17536051"/



=== TEST 2: chat_publish of an unknown app
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_publish chat new_message app=99; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*unknown app "99".*"17536051"/



=== TEST 3: no database, chat_history
--- http_config eval: $::App
--- config
    location = /messages {
        chat_history chat; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_history".*"?chat_database/



=== TEST 4: no database, chat_publish
--- http_config eval: $::App
--- config
    location = /messages {
        chat_publish chat new_message; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_publish".*"?chat_database/



=== TEST 5: no app
--- http_config eval: $::Database
--- config
    location = /messages {
        chat_history chat; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*chat_app/



=== TEST 6: no app, chat_websocket
--- config
    location /app/ {
        chat_websocket; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*chat_app/



=== TEST 7: two apps with one key
--- http_config eval
$::Http . "chat_app 2 { key 6ed32465d0c1fff140be76a; secret other; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"2".*same key.*"17536051"/



=== TEST 8: an app twice
--- http_config eval
$::Http . "chat_app 17536051 { key other; secret other; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*(?:duplicate.*17536051|17536051.*duplicate)/



=== TEST 9: an app without a key
--- http_config eval: "chat_app 1 { secret b; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*\bkey\b/



=== TEST 10: an app without a secret
--- http_config eval: "chat_app 1 { key a; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*\bsecret\b/



=== TEST 11: an empty key
--- http_config eval: "chat_app 1 { key ''; secret b; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*\bkey\b/



=== TEST 12: a key with a slash
--- http_config eval: "chat_app 1 { key a/b; secret b; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"key".*letters, digits/



=== TEST 13: a key twice
--- http_config eval: "chat_app 1 { key a; key b; secret c; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"?key"?.*duplicate/



=== TEST 14: an app's id that is neither a number nor a word
--- http_config eval: "chat_app o.e { key a; secret b; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"o\.e"/



=== TEST 15: an app's id beyond 64 bits
--- http_config eval: "chat_app 99999999999999999999 { key a; secret b; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"99999999999999999999"/



=== TEST 16: an unknown directive in chat_app
--- http_config eval: "chat_app 1 { key a; secret b; colour red; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"colour" in chat_app "1" is not known/



=== TEST 17: a secret is not told
--- http_config eval: "chat_app 1 { key a; secret topsecret; secret othersecret; } # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"?secret"?.*duplicate/
--- no_error_log
topsecret
othersecret



=== TEST 18: app= left out with two apps
--- http_config eval
$::Http . "chat_app 2 { key b; secret c; }"
--- config
    location = /messages {
        chat_history chat; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*app=/



=== TEST 19: app= left out with two apps, chat_publish
--- http_config eval
$::Http . "chat_app 2 { key b; secret c; }"
--- config
    location = /messages {
        chat_publish chat new_message; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*app=/



=== TEST 20: a channel's name
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history "a b"; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*channel.*"a b"/



=== TEST 21: a channel's name, chat_publish
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_publish a:b new_message; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*channel.*"a:b"/



=== TEST 22: a channel's name too long
--- http_config eval: $::Http
--- config eval
"location = /messages {
    chat_history " . "x" x 201 . "; # HERE
}"
--- must_die
--- error_log eval
qr/\[emerg\].*channel/



=== TEST 23: an empty event
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_publish chat ""; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*event/



=== TEST 24: an unknown parameter
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history chat size=3; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*invalid parameter "size=3"/



=== TEST 25: limit=0
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history chat limit=0; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"limit=0"/



=== TEST 26: max=x
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history chat max=x; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"max=x"/



=== TEST 27: limit above max
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history chat limit=11 max=10; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*limit.*max/



=== TEST 28: the zone's size
--- http_config eval: "chat_zone x; # HERE\n$::App"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*zone.*"x"/



=== TEST 29: a zone too small
--- http_config eval: "chat_zone 1k; # HERE\n$::App"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*too small/



=== TEST 30: chat_zone twice
--- http_config eval: "chat_zone 4m;\nchat_zone 8m; # HERE\n"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_zone" directive is duplicate/



=== TEST 31: chat_database twice
--- http_config eval: $::Http . "chat_database /tmp/other.db; # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_database" directive is duplicate/



=== TEST 32: chat_database with a bad parameter
--- http_config eval: "chat_database /tmp/x.db sync=maybe; # HERE"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"sync=maybe"/



=== TEST 33: chat_history twice
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history chat;
        chat_history other; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_history" directive is duplicate/



=== TEST 34: chat_publish twice
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_publish chat a;
        chat_publish chat b; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_publish" directive is duplicate/



=== TEST 35: chat_author twice
--- http_config eval: $::Http
--- config
    chat_author a;
    chat_author b; # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_author" directive is duplicate/



=== TEST 36: chat_max_message_size
--- http_config eval: $::Http
--- config
    chat_max_message_size many; # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_max_message_size" directive invalid value/



=== TEST 37: chat_send_buffer
--- http_config eval: $::Http
--- config
    chat_send_buffer -1; # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_send_buffer"/



=== TEST 38: chat_activity_timeout
--- http_config eval: $::Http
--- config
    chat_activity_timeout soon; # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_activity_timeout" directive invalid value/



=== TEST 39: chat_activity_timeout 0 would stop pusher-js for ever
--- http_config eval: $::Http
--- config
    chat_activity_timeout 0; # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*chat_activity_timeout/



=== TEST 40: chat_activity_timeout below a second
--- http_config eval: $::Http
--- config
    chat_activity_timeout 900ms; # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*chat_activity_timeout/



=== TEST 41: an unknown variable (nginx itself, which names no line)
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history room-$nonsense;
    }
--- must_die
--- error_log eval
qr/\[emerg\].*unknown "nonsense" variable/



=== TEST 42: chat_zone in server
--- http_config eval: $::Http
--- config
    chat_zone 8m; # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_zone" directive is not allowed here/



=== TEST 43: chat_app in server
--- http_config eval: $::Http
--- config
    chat_app 2 { key a; secret b; } # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_app" directive is not allowed here/



=== TEST 44: chat_history in server
--- http_config eval: $::Http
--- config
    chat_history chat; # HERE
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_history" directive is not allowed here/



=== TEST 45: arguments
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_publish chat; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*invalid number of arguments in "chat_publish"/



=== TEST 46: a chat_database that is a folder
--- http_config eval: "chat_database /tmp; # HERE\n$::App"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"\/tmp"/



=== TEST 47: a module that is loaded and not configured
--- config
    location = /plain { return 200 "plain"; }
--- request
GET /plain
--- response_body chop
plain



=== TEST 48: a single process does all
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
["POST /messages\n{\"content\":\"a\"}", "GET /messages"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 200]
--- response_body_like eval
[qr/^\{"id":1,"content":"a",/, qr/^\[\{"id":1,"content":"a",/]



=== TEST 49: directives in any order, the app last
--- http_config eval
"chat_max_message_size 5;\n" . $::Database . $::App . "chat_zone 4m;"
--- config
    location = /messages {
        chat_publish chat new_message;
        chat_history chat limit=1 max=2;
    }
--- request eval
["POST /messages\n{\"content\":\"123456\"}", "GET /messages?limit=3"]
--- more_headers
Content-Type: application/json
--- error_code eval
[422, 400]



=== TEST 50: database with sync=
--- http_config eval
"chat_database $ENV{TEST_NGINX_SERVROOT}/cache/chat.db sync=normal;\n$::App"
--- config eval: $::Config
--- request
POST /messages
{"content":"a"}
--- more_headers
Content-Type: application/json
--- error_code: 201



=== TEST 51: inheritance of chat_author
--- http_config eval: $::Http . "chat_author http;"
--- config
    location = /inherited { chat_publish chat new_message; }
    location = /own { chat_author own; chat_publish chat new_message; }
    location /outer/ {
        chat_author outer;
        location = /outer/inner { chat_publish chat new_message; }
    }
--- request eval
[map { "POST $_\n{\"content\":\"a\"}" } "/inherited", "/own", "/outer/inner"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 201, 201]
--- response_body_like eval
[map { qr/"author":"$_"/ } "http", "own", "outer"]



=== TEST 52: handlers are not inherited
--- http_config eval: $::Http
--- config
    location /outer/ {
        chat_history chat;
        location = /outer/inner { return 200 "inner"; }
        location = /outer/none { }
    }
--- request eval
["GET /outer/", "GET /outer/inner", "GET /outer/none"]
--- error_code eval
[200, 200, 404]
--- no_error_log
[alert]
[emerg]



=== TEST 53: an unknown parameter of chat_websocket
--- http_config eval: $::Http
--- config
    location /app/ {
        chat_websocket log=never; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*invalid parameter "log=never".*"log=open".*"log=close"/



=== TEST 54: store without a channel
--- http_config eval: $::Http . "chat_app 2 { key b; secret c; store; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"store" in chat_app "2" must have the names of channels/


=== TEST 55: store of what is no channel
--- http_config eval: $::Http . "chat_app 2 { key b; secret c; store a /b; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"store" in chat_app "2" must have names of channels/


=== TEST 56: store with a star inside
--- http_config eval: $::Http . "chat_app 2 { key b; secret c; store a*b; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"store" in chat_app "2" must have names of channels/


=== TEST 57: store of nothing
--- http_config eval: $::Http . "chat_app 2 { key b; secret c; store ''; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"store" in chat_app "2" must have names of channels/


=== TEST 58: store without a database
--- http_config eval: "chat_app 2 { key b; secret c; store *; } # HERE"
--- config eval: "location /apps/ { chat_api; }"
--- must_die
--- error_log eval
qr/\[emerg\].*"store" in chat_app "2" needs a database, add "chat_database/


=== TEST 59: timestamp_window of no time
--- http_config eval: $::Http . "chat_app 2 { key b; secret c; timestamp_window 0; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"timestamp_window" in chat_app "2" must be a time/


=== TEST 60: a second key without a secret
--- http_config eval: $::Http . "chat_app 2 { key b; secret c; key d; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*chat_app "2" must have "secret" behind each "key"/


=== TEST 61: a second key of another app
--- http_config eval: $::Http . "chat_app 2 { key b; secret c; key 6ed32465d0c1fff140be76a; secret d; } # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*chat_app "2" has the same key as chat_app "17536051"/


=== TEST 62: chat_api without an app
--- http_config eval: $::Database
--- config eval: "location /apps/ { chat_api; } # HERE"
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_api"/



=== TEST 63: retention
--- http_config eval: $::Http . "chat_retention age=30d count=10000 size=1g;"
--- config eval: $::Config
--- request
POST /messages
{"content":"a"}
--- more_headers
Content-Type: application/json
--- error_code: 201



=== TEST 64: retention of something else
--- http_config eval: $::Http . "chat_retention days=30; # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"days=30".*"age=time", "count=number" or "size=size"/



=== TEST 65: retention, an age that is none
--- http_config eval: $::Http . "chat_retention age=30x; # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"age=30x".*such as "age=30d"/



=== TEST 66: retention, no messages
--- http_config eval: $::Http . "chat_retention age=1d count=0; # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"count=0".*such as "count=10000"/



=== TEST 67: retention, hardly any room
--- http_config eval: $::Http . "chat_retention size=1000k; # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"size=1000k".*at least 1m/



=== TEST 68: retention, one limit twice
--- http_config eval: $::Http . "chat_retention age=1d age=2d; # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*duplicate parameter "age=2d"/



=== TEST 69: retention twice
--- http_config eval
$::Http . "chat_retention age=1d;\nchat_retention count=5; # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_retention" directive is duplicate/



=== TEST 70: retention without a database
--- http_config eval: "chat_retention age=1d; # HERE\n"
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_retention" needs a database/



=== TEST 71: retention of nothing
--- http_config eval: $::Http . "chat_retention; # HERE"
--- config eval: $::Config
--- must_die
--- error_log eval
qr/\[emerg\].*invalid number of arguments in "chat_retention"/



=== TEST 72: chat_origins off
--- http_config eval: $::Http
--- config
    location /app/ { chat_websocket; chat_origins off; }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_origins" has no "off"/



=== TEST 73: chat_cors off and more
--- http_config eval: $::Http
--- config
    location /app/ { chat_websocket; chat_cors example.com off; }
--- must_die
--- error_log eval
qr/\[emerg\].*"off" in "chat_cors" must stand alone/



=== TEST 74: more apps than the zone has shares for
--- http_config eval
CORE::join "\n", "chat_zone 1m;", map { "chat_app $_ { key k$_; secret s; }" } 1 .. 17
--- config
--- must_die
--- error_log eval
qr/\[emerg\].*17 apps need a chat_zone of at least 1088k, it has 1024k/



=== TEST 75: as many as it has
--- http_config eval
CORE::join "\n", "chat_zone 1m;", map { "chat_app $_ { key k$_; secret s; }" } 1 .. 16
--- config
    location = /chat_status { chat_status; }
--- request
GET /chat_status
--- response_body_like eval
qr/"per_app":\[\{"app":"1",.*\{"app":"16",.*"zone_share_bytes":[1-9]/



=== TEST 76: R32: a time that is none
--- http_config eval: $::Http
--- config
    location /app/ {
        chat_websocket;
        chat_recovery soon; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_recovery" must be "off" or a time.*such as 2m, not "soon"/



=== TEST 77: R32: more than a day
--- http_config eval: $::Http
--- config
    location /app/ {
        chat_websocket;
        chat_recovery 25h; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_recovery" must be.*at most a day.*not "25h"/



=== TEST 78: R32: recovery twice
--- http_config eval: $::Http
--- config
    location /app/ {
        chat_websocket;
        chat_recovery 1m; chat_recovery off; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_recovery" directive is duplicate/



=== TEST 79: R32: grace that is no time
--- http_config eval: $::Http . "chat_presence_grace long; # HERE"
--- config
    location /app/ { chat_websocket; }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_presence_grace" directive invalid value/



=== TEST 80: R32: too long a grace
--- http_config eval: $::Http . "chat_presence_grace 11m; # HERE"
--- config
    location /app/ { chat_websocket; }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_presence_grace" directive must be 10m at most/



=== TEST 81: R32: grace twice
--- http_config eval: $::Http . "chat_presence_grace 1s;\nchat_presence_grace off; # HERE"
--- config
    location /app/ { chat_websocket; }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_presence_grace" directive is duplicate/



=== TEST 82: R32: a day of recovery, and no grace, are fine
--- http_config eval: $::Http . "chat_presence_grace off; chat_recovery 24h;"
--- config
    location /app/ { chat_websocket; chat_recovery 0; }
    location = /chat_status { chat_status; }
--- request
GET /chat_status
--- response_body_like eval
qr/"members_in_grace":0/



=== TEST 83: chat_events of an unknown app
--- http_config eval: $::Http
--- config
    location /events/ {
        chat_events chat app=99; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*unknown app "99".*"17536051"/



=== TEST 84: chat_events, an app without channels
--- http_config eval: $::Http
--- config
    location /events/ {
        chat_events app=17536051; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"app=17536051" in "chat_events".*the key in the URL/



=== TEST 85: chat_events, a list in one parameter
--- http_config eval: $::Http
--- config
    location /events/ {
        chat_events a,b; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"a,b" in "chat_events", write several/



=== TEST 86: chat_events, a name that is none
--- http_config eval: $::Http
--- config
    location /events/ {
        chat_events 'a b'; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*invalid channel name "a b"/



=== TEST 87: chat_events twice
--- http_config eval: $::Http
--- config
    location /events/ {
        chat_events a;
        chat_events b; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_events" directive is duplicate/



=== TEST 88: chat_events beside another handler
--- http_config eval: $::Http
--- config
    location /events/ {
        chat_events a;
        chat_status; # HERE
    }
--- must_die
--- error_log eval
qr/\[emerg\].*"chat_status" directive conflicts/
