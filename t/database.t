# The database file: who may write it, what it may be, what nginx -t says, and
# that what is not ours is left as it was.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::MD5 qw(md5_hex);
use File::Temp ();
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp spew);

# a place that the worker's user can reach, wherever the sources are
my $temp = File::Temp->newdir(DIR => '/tmp');
chmod 0755, $temp;

my $root = $> == 0;
# nobody's group has other names elsewhere
my ($uid, $gid) = $root ? (getpwnam 'nobody')[2, 3] : ($>, $));
my $user = $root ? 'nobody ' . getgrgid $gid : '';


sub new_server {
    my ($path, %args) = @_;

    return Chat::Server->new(workers => 1, database => $path, user => $user,
                             %args);
}


# nginx -t fails: names the path, the line of chat_database, and the mend.

sub refused {
    my ($path, $like, $name, $named) = @_;

    $named = $path unless defined $named;

    my $server = new_server($path);
    my @lines = split /\n/, slurp($server->conf_file);
    my ($line) = grep { $lines[$_ - 1] =~ /^\s*chat_database/ } 1 .. @lines;
    my ($code, $out) = $server->check_conf;
    my ($emerg) = $out =~ /^(.*\[emerg\].*)$/m;

    isnt($code, 0, "$name: nginx -t fails");
    $emerg = $out unless defined $emerg;
    like($emerg, qr/"\Q$named\E"/, "$name: names the path")
        or diag($out);
    like($emerg, $like, "$name: says why");
    like($emerg, qr/ in \S*nginx\.conf:$line$/, "$name: names file and line");

    ok(!eval { $server->start }, "$name: nginx does not start");
    $server->expect_log(qr/./);
    $server->finish;
}


sub untouched {
    my ($path, $like, $name) = @_;

    my $before = md5_hex(slurp($path)) . join ' ', (stat $path)[2 .. 5, 7, 9];

    refused($path, $like, $name);

    is(md5_hex(slurp($path)) . join(' ', (stat $path)[2 .. 5, 7, 9]), $before,
       "$name: the file is as it was");
    is(join(' ', glob "$path-*"), '', "$name: nothing was put beside it");
}


sub sqlite {
    my ($path, $sql) = @_;

    system('sqlite3', $path, $sql) == 0 or die "sqlite3: $?";
    chown $uid, -1, $path;
}


my $good = "$temp/good/chat.db";
my $epoch;


subtest 'a folder that is not there is made' => sub {
    my $server = new_server($good);
    my ($code, $out) = $server->check_conf;

    is($code, 0, 'nginx -t is content') or diag($out);
    ok(!-e $good, 'nginx -t makes no database');

    $server->start;

    my $http = Chat::HTTP->new(port => $server->port);
    my $res = $http->post('/messages', { content => 'first' });

    is($res->{status}, 201, 'a message is stored');
    $epoch = $http->get('/messages')->{headers}{'chat-epoch'};
    is((stat "$temp/good")[4], $uid, "the folder is the worker user's");
    is((stat $good)[4], $uid, "so is the file");
    is((stat $good)[2] & 0002, 0, 'others cannot write it');
    $server->finish;
};


subtest 'another start' => sub {
    my $server = new_server($good)->start;
    my $http = Chat::HTTP->new(port => $server->port);
    my $res = $http->get('/messages');

    is(from_json($res->{body})->[0]{content}, 'first',
       'what was stored is there');
    is($res->{headers}{'chat-epoch'}, $epoch, 'the same Chat-Epoch');

    my ($code, $out) = $server->check_conf;
    is($code, 0, 'nginx -t beside a running nginx') or diag($out);
    is($http->get('/messages')->{status}, 200, 'which goes on');
    $server->finish;

    $server = new_server("$temp/other/chat.db")->start;
    isnt(Chat::HTTP->new(port => $server->port)
             ->get('/messages')->{headers}{'chat-epoch'}, $epoch,
         'another database has another Chat-Epoch');
    $server->finish;
};


subtest 'an empty file' => sub {
    mkdir "$temp/empty";
    spew("$temp/empty/chat.db", '');
    chown $uid, -1, "$temp/empty", "$temp/empty/chat.db";

    my $server = new_server("$temp/empty/chat.db")->start;
    is(Chat::HTTP->new(port => $server->port)
           ->post('/messages', { content => 'a' })->{status}, 201,
       'becomes a database');
    $server->finish;
};


mkdir "$temp/files";
chown $uid, -1, "$temp/files";

for my $case ([ 'text', "this is not a database\n" x 100 ],
              [ 'one byte', 'x' ],
              [ 'nearly', "SQLite format 2\0" . "\0" x 84 ],
              [ 'binary', "\0" x 4096 ])
{
    my ($name, $bytes) = @$case;
    my $path = "$temp/files/$name.db" =~ s/ /-/r;

    spew($path, $bytes);
    chown $uid, -1, $path;
    untouched($path, qr/not an? (?:SQLite )?database/i, "not a database: $name");
}


{
    my $path = "$temp/files/newer.db";

    system('cp', $good, $path);
    sqlite($path, 'PRAGMA user_version=1000000;');
    # one file, as a backup would be
    is(`sqlite3 '$path' 'PRAGMA journal_mode=delete;'`, "delete\n",
       'a database of a newer schema');
    untouched($path, qr/newer|1000000/, 'a newer schema');
}

{
    my $path = "$temp/files/foreign.db";

    sqlite($path, 'CREATE TABLE t (a); PRAGMA application_id=305419896;');
    untouched($path, qr/application/, "another application's database");
}


subtest 'places that cannot be written' => sub {
    mkdir "$temp/closed";
    chmod 0555, "$temp/closed";
    refused("$temp/closed/chat.db", qr/\bwrit\w+.*(?:chown|chmod|user)/,
            'a folder', "$temp/closed");

    mkdir "$temp/half";
    spew("$temp/half/chat.db", '');
    chown $uid, -1, "$temp/half";
    chmod 0444, "$temp/half/chat.db";
    refused("$temp/half/chat.db", qr/\bwrit\w+.*(?:chown|chmod|user)/,
            'a file');

    mkdir "$temp/half/folder.db";
    refused("$temp/half/folder.db", qr/\S/, 'a path that is a folder');
};


done_testing();
