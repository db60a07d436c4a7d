# Private and encrypted channels (P33-P40): who may subscribe, and what is
# answered to who may not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::Pusher qw(sign channel_auth send_subscribe subscribe_to is_event
                    is_refused is_error events_of);
use Chat::Server qw(APP_KEY APP_SECRET);

my @kinds = ('private-x', 'private-cache-x', 'private-encrypted-x',
             'private-encrypted-cache-x');


# Section 3.3.

subtest 'P33: the vectors' => sub {
    my @own = (
        [ '10.20:private-room',
          '393146452e4682e9516ac1af1b70e066d6021d161d55353f54cf2180218d03cc' ],
        [ '10.20:presence-room:{"user_id":"7","user_info":{"name":"Ann"}}',
          '9abe84ffc44529958654dfcb1ad4954d22ac234b23f25718fca54dbbda5ffc36' ],
        [ '10.20:private-encrypted-room',
          'f3f3eeac80ad18602cb5a606fca52d20691e4ac293b8034cfe58182cc918ed48' ],
        [ '10.20:private-encrypted-cache-room',
          '5c92ad2c8892eb8cea6baaba7610eae042deebba438e6e3945c452d92737de02' ],
        [ '10.20:private-room:{"x":1}',
          '870e606557af8eaa0d4b03b3231a412e331b6eb6d63f588c3e4e772ed3da1651' ],
    );
    my @official = (
        [ '1234.1234:private-foobar',
          '58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4' ],
        [ '1234.1234:presence-foobar:'
          . '{"user_id":10,"user_info":{"name":"Mr. Pusher"}}',
          'afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c' ],
        [ '1234.1234:presence-foobar:'
          . '{"user_id":10,"user_info":{"name":"Mr. Channels"}}',
          '31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80' ],
    );

    is(sign('app-secret-1', $_->[0]), $_->[1], $_->[0]) for @own;
    is(sign('7ad3773142a6692b25b8', $_->[0]), $_->[1], $_->[0]) for @official;

    # what is signed here is what the server wants, below; that the server
    # signs the vectors as they are is in auth.t
};


sub tests {
    my ($t) = @_;

    my ($ws, $other) = $t->spread(2);


    subtest 'P33 P39: subscribing with a signature' => sub {
        for my $channel (@kinds) {
            my $e = subscribe_to($ws, $channel);

            is_event($e, 'pusher_internal:subscription_succeeded', $channel,
                     '{}', $channel);
            subscribe_to($other, $channel);

            next unless $channel =~ /cache-/;
            is($_->next_event->{event}, 'pusher:cache_miss', 'nothing cached')
                for $ws, $other;
        }

        for my $channel (@kinds) {
            my $data = $t->publish($channel, 'to ' . $channel);

            is_event($_->next_event, 'news', $channel, $data,
                     "$channel: the event") for $ws, $other;
        }

        my $cipher = '{"nonce":"4VTWU4hZtvNWVvVJ4Zq5mA3bVhB9xS3Y",'
                     . '"ciphertext":"/+8=\\"\\\\u0000"}';
        my $data = $t->publish('private-encrypted-x', $cipher);

        is_event($ws->next_event, 'news', 'private-encrypted-x', $data,
                 'P39: ciphertext is what was published');

        $ws->unsubscribe($_) for @kinds;
        ok($ws->nothing_waits, 'unsubscribing says nothing');
        $t->publish($_, 'unheard') for @kinds;
        $t->nothing('nothing comes any more', $ws);
        is(scalar(map { @$_ } $t->fence($other)), 5, 'to another it does');

        is(subscribe_to($ws, 'private-x')->{data}, '{}', 'and again');
        send_subscribe($ws, 'private-x');
        is_error($ws, undef, qr/^Existing subscription to channel private-x$/,
                 'twice');
        $ws->unsubscribe('private-x');
        $ws->unsubscribe('private-x');
        is_error($ws, undef, qr/^No current subscription to channel private-x, or subscription in progress$/,
                 'unsubscribing twice');

        $other->unsubscribe($_) for @kinds;
    };


    subtest 'P34 P40: wrong signature' => sub {
        for my $channel (@kinds, 'presence-x') {
            my $data = $channel =~ /^pres/ ? '{"user_id":"7"}' : undef;
            my $text = $ws->socket_id . ":$channel";
            $text .= ":$data" if defined $data;

            my $good = sign(APP_SECRET, $text);
            my $flip = $good;
            substr($flip, 63, 1) =~ tr/0-9a-f/1-9a-f0/;

            for my $sig ($flip, '0' x 64, substr($good, 0, 63), $good . '0',
                         '', 'x' x 64, substr($good, 0, 32) . "\0" x 32,
                         sign('other', $text))
            {
                send_subscribe($ws, $channel, data => $data,
                               auth => APP_KEY . ":$sig");
                is_refused($ws, $channel, qr/^Invalid signature: Expected HMAC SHA256 hex digest of \Q$text\E(?:,|$)/,
                           "$channel: '$sig'");
            }
        }

        $t->publish($_, 'secret') for @kinds, 'presence-x';
        $t->nothing('P34: no subscription came of it', $ws);
        ok(subscribe_to($ws, 'private-x'), 'P34: the socket is good');
        $ws->unsubscribe('private-x');
    };


    subtest '2.5: the message names what was got' => sub {
        my $got = '0123456789abcdef' x 4;

        send_subscribe($ws, 'private-x', auth => APP_KEY . ":$got");
        my ($e) = events_of($ws);
        is($e->{data}{message}, 'Invalid signature: Expected HMAC SHA256 hex '
           . 'digest of ' . $ws->socket_id . ":private-x, but got $got",
           'the words of section 2.5');
    };


    subtest 'P34: the message never tells the signature' => sub {
        my $good = sign(APP_SECRET, $ws->socket_id . ':private-x');

        send_subscribe($ws, 'private-x', auth => APP_KEY . ':' . '0' x 64);
        my @e = events_of($ws);
        unlike(Chat::HTTP::json_bytes(\@e), qr/\Q$good/, 'that it wants');
    };


    subtest 'P35: the key' => sub {
        my $sig = sign(APP_SECRET, $ws->socket_id . ':private-x');

        for my $key ('other-key', 'nobody', APP_KEY . 'x', '',
                     substr(APP_KEY, 1), "k\x{e9}y")
        {
            send_subscribe($ws, 'private-x', auth => "$key:$sig");
            is_refused($ws, 'private-x', qr/^Invalid key in subscription auth data: '\Q$key\E'$/,
                       "key '$key'");
        }

        send_subscribe($ws, 'private-x', key => 'other-key',
                       secret => 'other-secret');
        is_refused($ws, 'private-x', qr/^Invalid key in subscription auth data: 'other-key'$/,
                   "another app's key with a signature of that app");

        send_subscribe($ws, 'private-x', secret => 'other-secret');
        is_refused($ws, 'private-x', qr/^Invalid signature: /,
                   "this app's key with a signature of another");
    };


    subtest 'P36: auth is missing' => sub {
        for my $auth ('', ',"auth":null', ',"auth":""', ',"auth":7',
                      ',"auth":{}', ',"auth":"' . APP_KEY . '"',
                      ',"auth":":"', ',"auth":"' . APP_KEY . ':"')
        {
            $ws->send_text('{"event":"pusher:subscribe","data":'
                           . '{"channel":"private-x"' . $auth . '}}');

            my @e = events_of($ws);

            is($e[0]{event}, 'pusher:error', "auth '$auth'");
            ok(exists $e[0]{data}{code} && !defined $e[0]{data}{code},
               'code null');
            is(scalar(grep { $_->{event} !~ /error$/ } @e), 0,
               'no subscription');
        }

        $t->publish('private-x', 'secret');
        $t->nothing('nothing of them subscribed', $ws);
    };


    subtest 'P37: signed for something else' => sub {
        send_subscribe($ws, 'private-x',
                       auth => channel_auth($other, 'private-x'));
        is_refused($ws, 'private-x', qr/^Invalid signature: /,
                   "another socket's");

        for my $channel ('private-y', 'private-X', 'private-', 'private-xx',
                         'x', 'presence-x')
        {
            send_subscribe($ws, 'private-x',
                           auth => channel_auth($ws, $channel));
            is_refused($ws, 'private-x', qr/^Invalid signature: /,
                       "another channel's: $channel");
        }

        # a sign-in's: socket_id::user::x is no channel's
        send_subscribe($ws, 'private-x',
                       auth => Chat::Pusher::user_auth($ws, 'private-x'));
        is_refused($ws, 'private-x', qr/^Invalid signature: /, "a sign-in's");
    };


    subtest 'P38: channel_data' => sub {
        for my $data ('{"x":1}', ' { "x" : 1 } ', '', 'no JSON', '"',
                      "{\"x\":\"\x{e9}\x{20ac}\x{1f600}\\u00e9\\/\"}")
        {
            subscribe_to($ws, 'private-x', data => $data);
            $ws->unsubscribe('private-x');

            send_subscribe($ws, 'private-x', data => $data,
                           auth => channel_auth($ws, 'private-x'));
            my @e = events_of($ws);
            is($e[0]{event}, 'pusher:error', "'$data' is part of what is signed");
        }

        send_subscribe($ws, 'private-x',
                       auth => channel_auth($ws, 'private-x', '{"x":1}'));
        is_refused($ws, 'private-x', qr/^Invalid signature: /,
                   'signed with it, sent without');

        # escapes that say the same are the same string value
        my $auth = channel_auth($ws, 'private-x', '{"x":"/"}');
        $ws->send_text('{"event":"pusher:subscribe","data":{"channel":'
                       . '"private-x","auth":"' . $auth . '","channel_data":'
                       . '"{\u0022x\u0022:\"\/\"}"}}');
        is($ws->next_event->{channel}, 'private-x', 'as the decoded string');
        $ws->unsubscribe('private-x');
    };


    subtest '3.3: the key in lower case' => sub {
        my $w = $t->ws_of('Key-B');

        for my $key ('key-b', 'Key-B') {
            my $e = subscribe_to($w, "private-$key", key => $key,
                                 secret => 'Secret-B');
            is($e->{channel}, "private-$key", $key);
        }
    };


    subtest 'apps are apart' => sub {
        my $stranger = $t->ws_of('other-key');

        subscribe_to($stranger, 'private-x', key => 'other-key',
                     secret => 'other-secret');
        subscribe_to($ws, 'private-x');

        my $data = $t->publish('private-x', 'ours');
        is_event($ws->next_event, 'news', 'private-x', $data, 'ours');
        my $theirs = $t->publish('private-x', 'theirs', path => '/other');
        is_event($stranger->next_event, 'news', 'private-x', $theirs,
                 'theirs, and not ours');
        $t->nothing('not theirs', $ws);
    };
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, apps => <<'END');
    chat_app 3 { key Key-B; secret Secret-B; }
END

    subtest "$workers workers" => sub { tests($t) };
    $t->finish;
}

done_testing();
