# conf/chat.sh, which asks the HTTP API from the shell: each of its commands,
# what goes through its quoting and escaping, what it says and how it exits
# where it is refused, and that its secret is on no command line.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Encode qw(encode_utf8);
use File::Path ();
use IPC::Run ();
use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::HTTP qw(from_text);
use Chat::Pusher qw(is_event join_presence signin subscribe_to);
use Chat::Server qw(APP_ID APP_KEY APP_SECRET free_port slurp spew);

my $script = "$FindBin::Bin/../conf/chat.sh";

# longer than a block of SHA-256; its sixes make zeros of the inner block
my $long = 'x6' x 50;

my $t = Chat::Pusher->new(workers => 2, app => "key long; secret $long;",
                          more => <<'END_OF_MORE');
        location /apps/ { chat_api; }
        location /behind/apps/ { chat_api; }

        location /closed/apps/ {
            chat_api;
            deny all;
        }
END_OF_MORE

my $bin = $t->server->dir . '/bin';
my $url = 'http://127.0.0.1:' . $t->port;
my $shell = 'sh';

my %settings = (CHAT_URL => $url, CHAT_APP => APP_ID, CHAT_KEY => APP_KEY,
                CHAT_SECRET => APP_SECRET);


# The script's exit status, and what it printed on stdout and stderr.  Before
# its arguments: { stdin => TEXT or bytes => BYTES, and other settings, undef
# for none }.

sub chat {
    my %o = ref $_[0] ? %{ shift() } : ();
    my @arguments = map { encode_utf8($_) } @_;
    my $text = delete $o{stdin};
    my $stdin = delete $o{bytes};

    $stdin = defined $text ? encode_utf8($text) : '' unless defined $stdin;

    local %ENV = (%ENV, %settings, %o);
    delete @ENV{ grep { !defined $ENV{$_} } keys %ENV };

    my ($out, $err) = ('', '');

    IPC::Run::run([ $shell, $script, @arguments ],
                  '<', \$stdin, '>', \$out, '2>', \$err);

    return ($? >> 8, $out, $err);
}


# It prints this, in whatever order, and nothing else.

sub answers {
    my ($arguments, $want, $name) = @_;

    my ($status, $out, $err) = chat(@$arguments);

    is("$status $err", '0 ', "$name: exits with 0, and says nothing");
    like($out, qr/\A\{.*\}\n\z/, "$name: a line of JSON");
    is_deeply(scalar eval { from_text($out) }, $want, $name) or diag($out);
}


sub refuses {
    my ($arguments, $want, $like, $name) = @_;

    my ($status, $out, $err) = chat(@$arguments);

    is("$status $out", "$want ", "$name: exits with $want, prints nothing");
    like($err, $like, $name);
    unlike($err, qr/<|\n\n/, "$name: no HTML, no empty lines");
}


sub triggers {
    my ($ws, $channel, $event, $data, $name) = @_;

    answers([ 'trigger', $channel, $event, $data ], {}, $name);
    is_event($ws->next_event, $event, $channel, $data, "$name, as it is");

    answers([ { stdin => $data }, 'trigger', $channel, $event ], {},
            "$name, from stdin");

    # as $(...) has it
    is_event($ws->next_event, $event, $channel, $data =~ s/\n+\z//r,
             "$name, from stdin, as it is");
}


my $ws = $t->ws;

subscribe_to($ws, 'chat');

for my $one (
    [ 'an object',        'notice',    '{"text":"hello"}' ],
    [ 'a word',           'notice',    'hello' ],
    [ 'nothing',          'notice',    '' ],
    [ 'quotes',           q(it's "1"), q('"' "" \\" $HOME `id` $(id) %s \\n) ],
    [ 'backslashes',      '\\',        '\\ \\\\ \\\\\\ \\& &' ],
    [ 'UTF-8',            "\x{17e}",   "\x{17e}lu\x{165} \x{1f600}" ],
    [ 'lines',            'notice',    "one\n\n two \n\tthree\r\n\n" ],
    [ 'other characters', 'notice',    join '', map { chr } 1 .. 31, 127 ],
    [ 'options',          '-n',        '-e -- @x' ],
    [ 'as much as fits',  'notice',    '"' x 10240 ],
) {
    my ($name, $event, $data) = @$one;

    triggers($ws, 'chat', $event, $data, $name);
}

refuses([ { bytes => "\xff" }, 'trigger', 'chat', 'notice' ], 1,
        qr/answered 400: ./, 'what is not UTF-8');
refuses([ 'trigger', 'chat', 'notice', 'x' x 10241 ], 1,
        qr/answered 413: .*10240/, 'one byte more');
refuses([ 'trigger', 'no:channel', 'notice', 'x' ], 1, qr/answered 400: ./,
        'a channel that can not be');
refuses([ 'trigger', 'chat', 'pusher:x', 'x' ], 1, qr/answered 400: ./,
        'an event that can not be');

my $ann = $t->ws;
my $user = 'ann=@,.;-_';

signin($ann, { id => $user });
answers([ 'trigger', "#server-to-user-$user", 'told', 'x' ], {}, 'a user');
is_event($ann->next_event, 'told', "#server-to-user-$user", 'x',
         'the user hears it');


# ---- questions

my @odd = map { "private-$_" } 'a=@,.;-_';

subscribe_to($ws, $odd[0]);
subscribe_to($ws, 'cache-x');
$ws->next_event;                        # pusher:cache_miss
join_presence($ws, 'presence-room', 'bob');
join_presence($ann, 'presence-room', 'ann');

answers([ 'channels' ], { channels => {
    chat => { subscription_count => 1 },
    $odd[0] => { subscription_count => 1 },
    'cache-x' => { subscription_count => 1 },
    'presence-room' => { subscription_count => 2 },
} }, 'channels');
answers([ 'channels', '' ], { channels => {
    chat => { subscription_count => 1 },
    $odd[0] => { subscription_count => 1 },
    'cache-x' => { subscription_count => 1 },
    'presence-room' => { subscription_count => 2 },
} }, 'channels with an empty prefix');
answers([ 'channels', $odd[0] ],
        { channels => { $odd[0] => { subscription_count => 1 } } },
        'channels by a prefix of special characters');
answers([ 'channels', 'x y&info=user_count+%2F#"\\' . "\x{17e}" ],
        { channels => {} }, 'by one that no channel can have');

answers([ 'channel', $odd[0] ],
        { occupied => JSON::PP::true, subscription_count => 1 }, 'a channel');
answers([ 'channel', "#server-to-user-$user" ],
        { occupied => JSON::PP::false, subscription_count => 0 },
        'that of a user');
refuses([ 'channel', 'x/y?z #%"' . "\x{17e}" ], 1,
        qr/answered 400: Invalid channel name/, 'one that can not be');
answers([ 'channel', 'presence-room' ],
        { occupied => JSON::PP::true, subscription_count => 2,
          user_count => 2 }, 'a presence channel');
answers([ 'trigger', 'cache-x', 'last', 'said' ], {}, 'for a cache channel');

{
    my ($status, $out) = chat('channel', 'cache-x');
    my $answer = from_text($out);

    is($answer->{cache}{data}, 'said', 'a cache channel: its last event');
    ok($answer->{cache}{ttl} > 0, 'and how long it stays');
}

for my $type (qw(presence-cache private-cache private-encrypted-cache)) {
    my ($status, $out) = chat('channel', "$type-y");

    is($status, 0, "$type-");
    ok(exists from_text($out)->{cache}, "$type- is asked for its cache");
}

{
    my ($status, $out, $err) = chat('users', 'presence-room');
    my $users = from_text($out)->{users};

    is("$status $err", '0 ', 'users');
    is(join(' ', sort map { $_->{id} } @$users), 'ann bob', 'all of them');
}

refuses([ 'users', 'chat' ], 1, qr/answered 400: .*presence/,
        'users of a public channel');

answers([ 'terminate', 'nobody/x?y #%|"' . "\x{17e}" ], {},
        'the end of somebody who is not there');
answers([ 'terminate', $user ], {}, 'the end of a user');
is($ann->wait_close, 4009, 'the connection is closed');


# ---- settings

answers([ { CHAT_URL => "$url/behind" }, 'channels', 'cache-' ],
        { channels => { 'cache-x' => { subscription_count => 1 } } },
        'a path before /apps/');
answers([ { CHAT_URL => "$url/behind/" }, 'channels', 'cache-' ],
        { channels => { 'cache-x' => { subscription_count => 1 } } },
        'with a slash at its end');
answers([ { CHAT_URL => "$url/" }, 'channel', 'none' ],
        { occupied => JSON::PP::false, subscription_count => 0 },
        'a slash at the end of the host');
answers([ { CHAT_KEY => 'long', CHAT_SECRET => $long }, 'channel', 'none' ],
        { occupied => JSON::PP::false, subscription_count => 0 },
        'a secret of 100 bytes');

refuses([ { CHAT_SECRET => 'wrong' }, 'channels' ], 1,
        qr/\Achat\.sh: \Q$url\E answered 401: Invalid signature/,
        'a wrong secret');
refuses([ { CHAT_SECRET => 'wrong' }, 'trigger', 'chat', 'notice', 'x' ], 1,
        qr/answered 401: Invalid signature/, 'a wrong secret, to trigger');
refuses([ { CHAT_KEY => 'no key' }, 'channels' ], 1, qr/answered 401: ./,
        'a wrong key');
refuses([ { CHAT_APP => '7' }, 'channels' ], 1, qr/answered 40[14]: ./,
        'no such app');
refuses([ { CHAT_URL => "$url/nowhere" }, 'channels' ], 1,
        qr/\Achat\.sh: \S+ answered 404\n\z/, 'another path');
refuses([ { CHAT_URL => "$url/closed" }, 'channels' ], 1,
        qr/\Achat\.sh: \S+ answered 403\n\z/, 'a closed location');

{
    my $away = 'http://127.0.0.1:' . free_port();

    refuses([ { CHAT_URL => $away }, 'channels' ], 3,
            qr/^curl: .*\nchat\.sh: no answer from \Q$away\E\n\z/m,
            'no server');
}

for my $setting (sort keys %settings) {
    for my $value (undef, '') {
        refuses([ { $setting => $value }, 'channels' ], 2,
                qr/\Achat\.sh: $setting is not set\n\z/,
                $setting . (defined $value ? ' is empty' : ' is missing'));
    }
}

refuses([ { CHAT_URL => $_ }, 'channels' ], 2,
        qr/\Achat\.sh: CHAT_URL has to begin with [^\n]*\n\z/,
        "CHAT_URL=$_") for 'chat.example.com', 'ftp://x', 'http://';

for my $arguments ([], [ 'help!' ], [ 'trigger' ], [ 'trigger', 'chat' ],
                   [ 'trigger', 'a', 'b', 'c', 'd' ], [ 'channels', 'a', 'b' ],
                   [ 'channel' ], [ 'channel', 'a', 'b' ], [ 'users' ],
                   [ 'terminate' ], [ 'terminate', 'a', 'b' ])
{
    my ($status, $out, $err) = chat(@$arguments);

    is($status, 2, "chat.sh @$arguments: exits with 2");
    is($out, '', "chat.sh @$arguments: prints nothing");
    like($err, qr/\AUsage: chat\.sh trigger/, "chat.sh @$arguments: usage");
}

for my $word ('help', '-h', '--help') {
    my ($status, $out, $err) = chat({ %settings, CHAT_URL => undef }, $word);

    is("$status $err", '0 ', "$word: exits with 0");
    like($out, qr/\AUsage: chat\.sh trigger/, "$word: usage");
}


# ---- what others see meanwhile

# Only these commands, of which each notes how it was called.

File::Path::make_path($bin);

sub path_of {
    my ($command) = @_;

    my ($path) = grep { -x } map { "$_/$command" } split /:/, $ENV{PATH};

    return $path;
}


for my $command (qw(awk cat curl cut date od openssl)) {
    my $path = path_of($command);

    spew("$bin/$command", "#!/bin/sh\n"
         . qq(printf '%s\\n' "$command \$*" >> "\${0%/*}/../calls"\n)
         . qq(exec $path "\$@"\n));
    chmod 0755, "$bin/$command";
}

my $other = $t->ws;

subscribe_to($other, 'chat');

for my $with (qw(sh bash)) {
    $shell = path_of($with);

    unlink $t->server->dir . '/calls';

    answers([ { PATH => $bin, stdin => 'a "word"' }, 'trigger', 'chat',
              'by stdin' ], {}, "$with: trigger");
    is_event($other->next_event, 'by stdin', 'chat', 'a "word"', "$with: comes");
    answers([ { PATH => $bin }, 'channels', 'cache-' ],
            { channels => { 'cache-x' => { subscription_count => 1 } } },
            "$with: channels");

    my $calls = slurp($t->server->dir . '/calls');

    like($calls, qr/^curl .*^openssl /ms, "$with: the calls are noted");
    unlike($calls, qr/\Q@{[ APP_SECRET ]}\E/, "$with: none has the secret");
    unlike($calls, qr/auth_signature|\bword\b/,
           "$with: none has the signature or the data");
}

my $found = `shellcheck '$script' 2>&1`;

is($?, 0, 'shellcheck') or diag($found);

$t->finish;

done_testing();
