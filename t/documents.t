# The documents' examples: nginx -t takes each piece of configuration, and that
# of README.md serves what its commands ask for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Path ();
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(module_path build_dir slurp spew);
use Chat::TLS qw(make_certificate);

my $root = "$FindBin::Bin/..";
my $dir = build_dir() . "/t/documents-$$";
my $nginx = Chat::Server::binary();
my $module = module_path();
my $sockets = 0;

# what nginx would write elsewhere
my $own = join '', map { " ${_}_temp_path tmp_$_;" }
                   qw(client_body proxy fastcgi uwsgi scgi);
$own .= ' access_log off;';

# what a piece needs that another one has
my %needs = (
    chat_member     => 'map $chat_channel $chat_member { "" $remote_user; }',
    chat_connection => 'map $http_upgrade $chat_connection { "" ""; }',
);


# The pieces of a kind in a document, each with its line.

sub pieces {
    my ($file, $kind) = @_;

    my $text = slurp("$root/$file");
    my @pieces;

    while ($text =~ /^```$kind\n(.*?)^```$/gms) {
        push @pieces, [ 1 + (substr($text, 0, $-[0]) =~ tr/\n//), $1 ];
    }

    return @pieces;
}


# A whole configuration with the piece in its place, and paths and addresses
# that a test may use.

sub whole {
    my ($piece) = @_;

    my ($first) = $piece =~ /^\s*(?:#.*\n\s*)*(\w+)/;
    my $http = $first =~ /^(?:map|log_format|chat_zone|chat_database)$/;
    my $outside = join "\n", map { $needs{$_} }
                  grep { $piece =~ /\$$_\b/ && $piece !~ /map .*\$$_\b/ }
                  sort keys %needs;

    if ($first ne 'load_module') {
        my ($in_http, $in_server) = $http ? ($piece, '') : ('', $piece);

        $outside .= "chat_database /var/lib/nginx-chat/chat.db;\n"
            if $piece !~ /chat_database/;
        $outside .= "include chat_app.conf;\n"
            if $piece !~ /chat_app/;

        $piece = <<"END";
load_module  modules/ngx_chat_module.so;
events { }
http {
    $outside
    $in_http
    server {
        listen 80;
        location = /me { return 204; }
        $in_server
    }
}
END
    }

    $piece =~ s{modules/ngx_chat_module\.so}{$module};
    $piece =~ s{^user .*}{}m;
    $piece =~ s/^http \{/http {$own/m;
    $piece =~ s{/var/lib/}{$dir/};
    $piece =~ s{/etc/ssl/\w+/chat\.(pem|key)}{$dir/chat.$1}g;
    $piece =~ s{listen( +)(?:\[::\]:)?\d+}{
        "listen$1unix:$dir/" . ++$sockets . '.sock' }ge;

    return "pid $dir/nginx.pid;\nerror_log $dir/error.log;\n"
           . ($> == 0 ? "user root;\n" : '') . $piece;
}


File::Path::make_path($dir);
make_certificate("$dir/chat.key", "$dir/chat.pem");
spew("$dir/chat_app.conf",
     'chat_app 1001 { key mykey; secret mysecret; client_events on; }');

for my $path (sort(glob("$root/*.md"), glob("$root/*/*.md"))) {
    my $file = $path =~ s{^\Q$root\E/}{}r;

    for my $piece (pieces($file, 'nginx')) {
        my ($line, $text) = @$piece;

        spew("$dir/nginx.conf", whole($text));

        my $out = `$nginx -t -e stderr -p $dir -c $dir/nginx.conf 2>&1`;

        is($?, 0, "$file:$line") or diag($out);
    }
}

File::Path::remove_tree($dir);


# README.md's, in use

my ($example, $more) = map { $_->[1] } pieces('README.md', 'nginx');

is($more, undef, 'README.md has one configuration');

my $server = Chat::Server->new(workers => 1, conf => '');
my ($port, $home) = ($server->port, $server->dir);

$example = whole($example) =~ s{unix:\S+\.sock}{127.0.0.1:$port}r;
$example =~ s{\Q$dir\E/(?:nginx\.pid|error\.log)}{}g;
$example =~ s{^(?:pid|error_log) .*\n}{}mg;
$example =~ s{\Q$dir\E}{$home};

$server->write_conf(conf => <<"END" . $example);
daemon off;
pid logs/nginx.pid;
error_log logs/error.log info;
END
$server->start;

my ($commands) = map { $_->[1] } pieces('README.md', 'sh');
my @answers = map { `$_` =~ s/\n\z//r }
              grep { s{http://127\.0\.0\.1/}{http://127.0.0.1:$port/} }
              map { s/^curl /curl -s /r } split /\n/, $commands;

is(scalar @answers, 2, 'two commands');
is(from_json($answers[0])->{content}, 'hello', 'the first posts');
is($answers[1], "[$answers[0]]", 'the second reads');

$server->finish;

done_testing();
