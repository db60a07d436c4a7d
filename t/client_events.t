# Client events (P62-P68), and what only they can show: data that is no JSON
# (P31), ciphertext (P39).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time sleep);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_text);
use Chat::Pusher qw(subscribe_to join_presence client_event is_event is_error
                    events_of);

my $serial = 0;


sub fresh { return shift() . ++$serial }


# At most ten a second: another sender each time keeps that out of the way.

sub sender {
    my ($t, $channel) = @_;

    my ($ws) = $t->spread(1);
    subscribe_to($ws, $channel);

    return $ws;
}


sub tests {
    my ($t) = @_;

    subtest 'P62 P63: private channels' => sub {
        my ($a, $b, $c, $out) = $t->spread(4);
        my $channel = fresh('private-');

        subscribe_to($_, $channel) for $a, $b, $c;

        client_event($a, $channel, 'client-typing', 'on');
        is_event($_->next_event, 'client-typing', $channel, 'on',
                 'another subscriber, no user_id') for $b, $c;
        $t->nothing('P62: neither the sender nor one not subscribed',
                    $a, $out);
        $t->nothing('once each', $b, $c);

        client_event($b, $channel, 'client-', 'x');
        is_event($_->next_event, 'client-', $channel, 'x', 'from another')
            for $a, $c;
        $t->nothing('P62: not the sender', $b);
    };


    subtest 'P63 P64: presence channels' => sub {
        my ($a, $b, $tab) = $t->spread(3);
        my $channel = fresh('presence-');

        join_presence($a, $channel, 7);
        join_presence($b, $channel, "b\x{e9}\"");
        join_presence($tab, $channel, '7');
        $a->next_event;

        client_event($a, $channel, 'client-x', '{"on":true}');

        for my $ws ($b, $tab) {
            my $e = $ws->next_event;

            is($e->{user_id}, '7', 'P63: user_id of the sender');
            like($e->{raw}, qr/"user_id":"7"/, 'P63: a string');
            is($e->{data}, '{"on":true}', 'data');
            is($e->{channel}, $channel, 'channel');
        }

        client_event($b, $channel, 'client-x', 'y', user_id => '7',
                     socket_id => '1.1');
        is($a->next_event->{user_id}, "b\x{e9}\"", 'P64: a forged one is ignored');
        $tab->next_event;

        client_event($tab, $channel, 'client-x', 'z');
        is($a->next_event->{user_id}, '7',
           "the user's other socket gets it, too");
        is($b->next_event->{user_id}, '7', 'and others');
        $t->nothing('nothing else', $a, $b, $tab);

        # the membership counts, not the sign-in
        my $private = fresh('private-');
        subscribe_to($_, $private) for $a, $b;
        client_event($a, $private, 'client-x', 'q', user_id => '7');
        my $e = $b->next_event;
        ok(!exists $e->{user_id}, 'P63: never on private channels');
    };


    subtest 'P65: refused' => sub {
        my ($a, $b, $none) = $t->spread(3);
        my $off = $t->ws_of('other-key');
        my $private = fresh('private-');

        subscribe_to($_, $private) for $a, $b;

        for my $public (fresh('public-'), fresh('cache-'), 'privatefoo',
                        'presencefoo')
        {
            subscribe_to($_, $public) for $a, $b;
            events_of($_) for $a, $b;

            client_event($a, $public, 'client-x', 'x');
            is_error($a, undef, qr/\S/, "on $public");
        }

        client_event($none, $private, 'client-x', 'x');
        is_error($none, undef, qr/^Cannot broadcast client event \(connection not subscribed to channel \Q$private\E\)$/,
                 'not subscribed');

        $a->unsubscribe($private);
        client_event($a, $private, 'client-x', 'x');
        is_error($a, undef, qr/^Cannot broadcast client event \(connection not subscribed to channel \Q$private\E\)$/,
                 'not any more');
        subscribe_to($a, $private);

        for my $frame (qq({"event":"client-x","channel":"$private"}),
                       '{"event":"client-x","data":"x"}',
                       '{"event":"client-x"}')
        {
            $a->send_text($frame);
            is_error($a, undef, qr/^Invalid client event \(must contain channel and data\)$/,
                     $frame);
        }

        for my $frame ('{"event":"client-x","data":"x","channel":7}',
                       '{"event":"client-x","data":"x","channel":null}',
                       '{"event":"client-x","data":"x","channel":{}}',
                       '{"event":"client-x","data":"x","channel":""}',
                       '{"event":"client-x","data":"x","channel":"private-a b"}',
                       '{"event":"client-x","data":"x","channel":"#server-to-user-7"}')
        {
            $a->send_text($frame);
            is_error($a, undef, qr/\S/, $frame);
        }

        for my $event ('news', 'Client-x', 'clientx', ' client-x', 'pusher:x',
                       'pusher_internal:member_added')
        {
            client_event($a, $private, $event, 'x');
            is_error($a, undef, qr/^Unsupported event received on socket: '\Q$event\E'$/,
                     "event $event");
        }

        subscribe_to($off, $private, key => 'other-key',
                     secret => 'other-secret');
        client_event($off, $private, 'client-x', 'x');
        is_error($off, undef, qr/^To send client events, you must enable this feature in the Settings page of your dashboard\. \(Here: "client_events on;" in the chat_app\.\)$/,
                 'the app has none');

        $t->nothing('P65: nobody got anything', $b, $none);
        ok($_->nothing_waits, 'P65: the socket is open') for $a, $none, $off;

        client_event($a, $private, 'client-x', 'x');
        is($b->next_event->{event}, 'client-x', 'and good');
    };


    subtest 'P66: rate' => sub {
        my ($a, $b) = $t->spread(2);
        my $channel = fresh('private-');

        subscribe_to($_, $channel) for $a, $b;

        $a->send_raw(join '', map { $a->frame(payload =>
            "{\"event\":\"client-$_\",\"data\":\"$_\",\"channel\":\"$channel\"}")
        } 1 .. 13);

        for my $n (11 .. 13) {
            is_error($a, 4301, qr/\S/, "event $n within a second");
        }

        my $refused = time();

        is(join(' ', map { $b->next_event->{data} } 1 .. 10),
           join(' ', 1 .. 10), 'ten are sent, in order');
        $t->nothing('P66: and no more', $b);

        # the limit is the connection's
        client_event($b, $channel, 'client-b', 'b');
        is($a->next_event->{event}, 'client-b', 'another may send');
        subscribe_to($a, "$channel-too");
        ok($a->nothing_waits, 'P66: the socket is open, other commands work');

        # a second has to pass
        sleep(1.05 - (time() - $refused)) if time() - $refused < 1.05;
        client_event($a, $channel, 'client-later', 'later');
        is($b->next_event->{event}, 'client-later',
           'P66: later ones pass');
    };


    subtest 'P31 P67: data' => sub {
        my $channel = fresh('private-');
        my ($b) = $t->spread(1);
        my ($a, $n) = (undef, 0);

        subscribe_to($b, $channel);

        for my $string ('plain', '', '{"a":1}', '{ "a" : 1 }', 'null', '[',
                        "quotes \" \\ / lines\r\n\ttabs", "a\0b\x{1}\x{7f}",
                        "\x{2028}\x{2029}\x{1f600}\x{e9}\x{ffff}", '\\u0041',
                        '</script>', '"')
        {
            $a = sender($t, $channel) if $n++ % 10 == 0;
            client_event($a, $channel, 'client-s', $string);

            my $e = $b->next_event;
            ok($e->{data} eq $string, "P31 P67: string $n is the same");
            is(ref \$e->{data}, 'SCALAR', 'a string');
        }

        my %json = (
            '{"x":1}' => '{"x":1}', '[1,2]' => '[1,2]', '7' => '7',
            'true' => 'true', 'false' => 'false', '{}' => '{}', '[]' => '[]',
            '-1.5e3' => '-1.5e3', '12345678901234567890' =>
            '12345678901234567890',
            ' { "b" : [ 1 , { "a" : null } ] , "a" : "x" } ' =>
            '{"b":[1,{"a":null}],"a":"x"}',
        );

        $n = 0;

        for my $text (sort keys %json) {
            $a = sender($t, $channel) if $n++ % 10 == 0;
            $a->send_text("{\"event\":\"client-o\",\"data\":$text,"
                          . "\"channel\":\"$channel\"}");
            is_event($b->next_event, 'client-o', $channel, $json{$text},
                     "P67: $text as a JSON string");
        }

        $a = sender($t, $channel);
        my $odd = { "k\x{e9}\"" => "\x{1f600}\x{2028}\0\\" };
        client_event($a, $channel, 'client-o', $odd);
        is_deeply(from_text($b->next_event->{data}), $odd, 'odd bytes');
    };


    subtest 'P39: encrypted channels' => sub {
        for my $channel (fresh('private-encrypted-'),
                         fresh('private-encrypted-cache-'))
        {
            my ($a, $b) = $t->spread(2);
            my $data = '{"nonce":"4VTWU4hZtvNWVvVJ4Zq5mA3bVhB9xS3Y",'
                       . '"ciphertext":"/+8=\\/ \\u00e9"}';

            subscribe_to($_, $channel) for $a, $b;
            events_of($_) for $a, $b;
            client_event($a, $channel, 'client-c', $data);
            is_event($b->next_event, 'client-c', $channel, $data,
                     "untouched on $channel");
        }
    };


    subtest 'P68: sizes' => sub {
        my ($a, $b) = $t->spread(2);
        my $channel = fresh('private-');

        subscribe_to($_, $channel) for $a, $b;

        my $long = 'x' x 10240;
        client_event($a, $channel, 'client-l', $long);
        ok($b->next_event->{data} eq $long, '10240 bytes');

        $long = "\x{20ac}" x 3413 . 'x';
        client_event($a, $channel, 'client-l', $long);
        ok($b->next_event->{data} eq $long, '10240 bytes of UTF-8');

        # what is measured is the string, not how it is escaped
        $long = '"' x 10240;
        client_event($a, $channel, 'client-l', $long);
        ok($b->next_event->{data} eq $long, '10240 bytes that need escapes');

        $a->send_text('{"event":"client-l","channel":"' . $channel
                      . '","data":[ "' . 'x' x 10236 . '" ]}');
        is(length $b->next_event->{data}, 10240, 'compact JSON of 10240');

        for my $data ('x' x 10241, "\x{20ac}" x 3414, [ 'x' x 10237 ],
                      'x' x 60000)
        {
            client_event($a, $channel, 'client-l', $data);
            is_error($a, undef, qr/\S/, 'more');
        }

        my $name = 'client-' . 'n' x 193;
        client_event($a, $channel, $name, 'x');
        is($b->next_event->{event}, $name, 'a name of 200 bytes');
        client_event($a, $channel, $name . 'n', 'x');
        is_error($a, undef, qr/\S/, 'one of 201');
        $t->nothing('P68: nobody got those', $b);
    };


    subtest 'one order' => sub {
        my @ws = $t->spread(8);
        my $channel = fresh('private-');

        subscribe_to($_, $channel) for @ws;

        for my $i (0 .. 3) {
            $ws[$i]->send_raw(join '', map { $ws[$i]->frame(payload =>
                "{\"event\":\"client-$_\",\"data\":\"$i\",\"channel\":\"$channel\"}")
            } 1 .. 10);
        }

        my @orders = map {
            my $ws = $_;
            join ' ', map { my $e = $ws->next_event;
                            "$e->{data}:$e->{event}" } 1 .. 40;
        } @ws[4 .. 7];

        is($orders[$_], $orders[0], 'all see one order') for 1 .. 3;

        for my $i (0 .. 3) {
            is(join(' ', $orders[0] =~ /\b$i:client-(\d+)/g),
               join(' ', 1 .. 10), "those of one sender are in order");
        }

        $t->nothing('nothing else', @ws[4 .. 7]);
        is(scalar(map { @$_ } $t->fence($ws[0])), 30,
           'a sender has those of others');
    };
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, app => 'client_events on;');

    subtest "$workers workers" => sub { tests($t) };
    $t->finish;
}

done_testing();
