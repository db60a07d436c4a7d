# chat_origins: which pages may open a WebSocket.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Server qw(APP_KEY);
use Chat::WebSocket;

my $server = Chat::Server->new(
    server    => 'chat_origins https://inherited.example.com;',
    locations => <<'END')->start;
        location /list/ {
            chat_websocket;
            chat_origins https://app.example.com http://localhost:4200
                         https://*.example.org;
        }

        location /hosts/ {
            chat_websocket;
            chat_origins *.star.example .dot.example host.example
                         port.example:8443;
        }

        location /any/       { chat_websocket; chat_origins *; }
        location /inherited/ { chat_websocket; }
END

my $default = Chat::Server->new->start;


sub status {
    my ($path, $origin, $s) = @_;

    my $ws = Chat::WebSocket->new(
        port    => ($s || $server)->port,
        path    => "$path/app/" . APP_KEY . '?protocol=7',
        headers => [ defined $origin ? "Origin: $origin" : () ]);

    if ($ws->{status} == 101) {
        my $e = $ws->next_event;
        is($e->{event}, 'pusher:connection_established', 'established');

    } else {
        is($ws->header('Upgrade'), undef, 'refused before the upgrade');
    }

    return $ws->{status};
}


for ('https://app.example.com', 'http://localhost:4200',
     'https://a.example.org', 'https://a.b.example.org',
     'HTTPS://App.Example.COM')
{
    is(status('/list', $_), 101, "$_: may");
}

for ('http://app.example.com', 'https://app.example.com:8443',
     'https://app.example.com.evil.com', 'https://evilapp.example.com',
     'https://example.org', 'https://aexample.org', 'https://.example.org',
     'http://a.example.org', 'https://a.example.org.evil.com',
     'https://evil.com/a.example.org', 'https://evil.com#.example.org',
     'http://localhost', 'http://localhost:42000', 'null', 'x',
     'https://app.example.com, https://evil.com')
{
    is(status('/list', $_), 403, "$_: may not");
}

# without a scheme, as in server_name: any scheme; without a port: any port
for ('https://a.star.example', 'http://a.b.star.example:81',
     'https://dot.example', 'https://a.dot.example', 'http://host.example',
     'https://host.example:444', 'http://port.example:8443')
{
    is(status('/hosts', $_), 101, "$_: may");
}

for ('https://star.example', 'https://adot.example', 'https://a.host.example',
     'http://port.example', 'http://port.example:8444', 'host.example')
{
    is(status('/hosts', $_), 403, "$_: may not");
}

is(status('/any', $_), 101, "$_: any may with *")
    for 'https://evil.com', 'null';
is(status('/any', undef), 101, 'no Origin with *');

is(status('/inherited', 'https://inherited.example.com'), 101,
   'inherited from the server');
is(status('/inherited', 'https://app.example.com'), 403,
   'inherited from the server: others may not');
is(status('/list', 'https://inherited.example.com'), 403,
   'a list of its own replaces the inherited one');

is(status('', $_, $default), 101, "$_: any may by default")
    for 'https://evil.com', 'http://127.0.0.1:8080';

# no browser, no Origin: there is no page whose user could be harmed
is(status('/list', undef), 101, 'clients that are no browsers may');

$_->finish for $server, $default;

done_testing();
