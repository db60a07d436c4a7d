# chat_events: long polls.  The rows S are those of t/README.md's table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;

use Chat::Events qw(path_of poll);
use Chat::HTTP qw(from_text);
use Chat::Pusher;
use Chat::Server qw(wait_for);
use Chat::Token qw(fresh);

my $t = Chat::Pusher->new(workers => 2, tls => 1, more => <<'END');
        location /events/ { chat_events; chat_cors *; }
END
my $port = $t->port;


sub http { return Chat::HTTP->new(port => $port) }


# A poll that waits: it is sent, and the server has it.

sub begin {
    my ($path, %headers) = @_;

    my $http = http();
    my $before = $t->status->{connections_total};

    $http->send_raw($http->format_request('GET', $path,
        { Accept => 'application/json', %headers }));

    ok(wait_for(10, sub { $t->status->{connections_total} > $before }),
       'a poll waits');

    return $http;
}


sub is_answer {
    my ($res, $events, $name) = @_;

    is($res->{status}, 200, "$name: 200") or diag($res->{body});
    is($res->{headers}{'content-type'}, 'application/json', "$name: JSON");
    is($res->{headers}{etag}, "\"$res->{json}{position}\"",
       "$name: the position is its ETag");
    is_deeply([ map { delete $_->{id}; $_ } @{$res->{json}{events}} ], $events,
              "$name: the events") or diag($res->{body});

    return $res->{json}{position};
}


sub event { return { channel => $_[0], event => 'news', data => $_[1] } }


subtest 'a poll' => sub {
    my ($one, $two) = (fresh('one-'), fresh('two-'));
    my $path = path_of("$one,$two");

    my $res = poll(http(), path_of("$one,$two", timeout => 0));
    my $at = is_answer($res, [], 'S10: no time');
    ok($res->{json}{recovered}, 'nothing is lost');
    is($res->{headers}{'chat-last-event-id'}, $at, 'S6: where it began');
    like($res->{headers}{'cache-control'}, qr/no-store/, 'not kept');
    is($res->{headers}{'access-control-allow-origin'}, '*', 'CORS');

    my $waiting = begin($path, 'Last-Event-ID' => $at);
    my @data = ($t->publish($one, 'a'));
    my $next = is_answer(Chat::Events::answer($waiting),
                         [ event($one, $data[0]) ], 'S10: as it comes');
    isnt($next, $at, 'S10: another position');

    push @data, $t->publish($two, 'b'), $t->publish($one, 'c');

    for my $headers ({ 'Last-Event-ID' => $at }, { 'If-None-Match' => "\"$at\"" })
    {
        is_answer(poll(http(), $path, $headers),
                  [ event($one, $data[0]), event($two, $data[1]),
                    event($one, $data[2]) ], 'S10: what was missed, at once');
    }

    $res = poll(http(), path_of("$one,$two", last_event_id => $next, poll => 1),
                { Accept => '*/*' });
    is(scalar @{$res->{json}{events}}, 2, 'S10: poll=1');

    # an id of an event is a position, too
    my ($first, $second) = map { $_->{id} } @{$res->{json}{events}};
    is($second, $res->{json}{position}, 'S10: the last event has it');
    is_answer(poll(http(), $path, { 'Last-Event-ID' => $first }),
              [ event($one, $data[2]) ], 'S10: behind an event');

    $res = poll(http(), path_of("$one,$two", last_event_id => $second,
                                timeout => 1),
                { 'If-None-Match' => "\"$second\"" });
    is_answer($res, [], 'S10: an empty list, and no 304, when time is over');
};


subtest 'no poll' => sub {
    for my $accept ('text/event-stream, application/json', '*/*',
                    'application/json;q=0.5, text/event-stream')
    {
        my $c = Chat::Events->open(port => $port, channels => 'a',
                                   headers => { Accept => $accept });
        is($c->header('content-type'), 'text/event-stream', $accept);
        $c->close;
    }

    my $http = http();
    my $res = poll($http, path_of('a', timeout => 0, poll => 1),
                   { Accept => 'application/json, text/plain, */*' });
    is($res->{status}, 200, 'what libraries send is a poll');
};


subtest 'the truth' => sub {
    my $channel = fresh('chat-');
    my $before = begin(path_of($channel));
    my $res = poll(http(), path_of($channel, last_event_id => 'lie'));

    is_answer($res, [], 'S10: a position that lies');
    is($res->{json}{recovered}, JSON::PP::false, 'S10: is told so');
    ok(!IO::Select->new($before->socket)->can_read(0),
       'S10: at once: another poll still waits');
    $before->close;

    my $data = $t->publish($channel, 'stored');
    $res = poll(http(), path_of($channel, last_event_id => 'earliest'));
    is_answer($res, [ event($channel, $data) ], 'S5: earliest');

    my $cache = fresh('cache-');
    $data = $t->publish($cache, 'cached');
    is_answer(poll(http(), path_of($cache)), [ event($cache, $data) ],
              'the cached event, where it begins now');
};


subtest 'others' => sub {
    my $channel = fresh('chat-');
    my $before = $t->status->{connections};
    my $http = begin(path_of($channel));

    $http->close;
    ok(wait_for(30, sub {
           $t->publish($channel, 'nobody');
           $t->status->{connections} <= $before;
       }), 'a client that has left is gone');

    my $half = begin(path_of($channel));
    shutdown($half->socket, 1);
    my $data = $t->publish($channel, 'half');
    is_answer(Chat::Events::answer($half), [ event($channel, $data) ],
              'one that has closed its half gets its answer');

    my @many = map { begin(path_of($channel)) } 1 .. 10;
    $data = $t->publish($channel, 'all');
    is_answer(Chat::Events::answer($_), [ event($channel, $data) ], 'each')
        for @many;

    my $res = http()->request('HEAD', path_of($channel, poll => 1));
    is($res->{status}, 200, 'HEAD does not wait');
    is($res->{headers}{'content-type'}, 'application/json', 'as the GET');

    my $waiting = begin(path_of($channel));
    $t->server->reload;
    $t->{http} = Chat::HTTP->new(port => $port);
    $res = Chat::Events::answer($waiting, 20);
    is_answer($res, [], 'S9: a leaving worker answers');
    $data = $t->publish($channel, 'afterwards');
    is_answer(poll(http(), path_of($channel, last_event_id =>
                                   $res->{json}{position})),
              [ event($channel, $data) ], 'S9: and the client goes on');
};


$t->finish;
done_testing;
