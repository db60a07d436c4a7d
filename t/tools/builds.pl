#!/usr/bin/perl

# builds.pl: what the scripts here make of what this machine has not: a tree
# of nginx as its repository has it, by clang, whose program has another name,
# as a fork's has; and promtool as each Debian has it.  Each is one test.
#
# Nothing comes from the network.  The tree is that of nginx-dev, which has
# headers and auto/ but no C file: enough for a module.  Its program is a stub.
# The packages are made here, and another apt-get hands them out.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path ();
use Test::More;

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

my $dir = Cwd::getcwd() . "/build/builds-$$";

END { File::Path::remove_tree($dir) if $dir && !$ENV{CHAT_KEEP} }


sub run {
    my (@command) = @_;

    system(@command) == 0 or die "@command: failed\n";
}


sub spew {
    my ($path, $text, $mode) = @_;

    File::Path::make_path(dirname($path));

    open my $fh, '>', $path or die "open $path: $!";
    print $fh $text;
    close $fh or die "close $path: $!";

    chmod $mode || 0644, $path or die "chmod $path: $!";
}


# A copy of the repository, without what has been built there.

sub repository {
    my ($name) = @_;

    File::Path::make_path("$dir/$name/t");
    run('cp', '-r', qw(config sql ngx_chat_module), "$dir/$name/");
    run('cp', '-r', 't/tools', "$dir/$name/t/");

    return "$dir/$name";
}


# Runs a command in a shell: its exit status, and all that it printed.

sub output {
    my ($command) = @_;

    my $text = `( $command ) 2>&1 < /dev/null`;

    return ($? >> 8, $text);
}


# nginx's repository has auto/configure only, and its releases ./configure.
# The program that it makes is called "angie" here.

sub git_tree {
    my $from = $ENV{NGINX_SRC} || '/usr/share/nginx/src';
    my $to = "$dir/nginx";

    File::Path::make_path($to);
    run('cp', '-rL', "$from/auto", "$from/src", $to);
    run('cp', '-L', "$from/configure", "$to/auto/configure")
        if -f "$from/configure";

    spew("$to/src/core/nginx.c", "int main(void) { return 0; }\n");

    open my $fh, '>>', "$to/auto/configure" or die "open: $!";
    print $fh <<'END' or die;

sed -i "s,^binary:.*,binary: $NGX_OBJS/angie," $NGX_OBJS/Makefile
printf '\n%s: src/core/nginx.c\n\t$(CC) -o $@ src/core/nginx.c\n' \
    $NGX_OBJS/angie >> $NGX_OBJS/Makefile
END
    close $fh or die;

    return $to;
}


sub test_tree {
    my $tree = git_tree();
    my $root = repository('clone');
    my $objs = "$root/build/src-objs";

    my ($status, $text) = output("NGINX_SRC=$tree CC=clang"
                                 . " $root/t/tools/build.sh");

    is($status, 0, 'a tree with auto/configure only, by clang') or diag($text);
    ok(-s "$root/build/ngx_chat_module.so", 'has made the module');

    my ($flags) = -f "$objs/Makefile"
                  && `cat $objs/Makefile` =~ /^CFLAGS = (.*)/m;

    like($flags || '', qr/-Wall .*-Wconditional-uninitialized .*-Werror/,
         'with all warnings that nginx has for clang');

    ok(-x "$objs/angie", 'and a program with a name of its own');
    is(system("$objs/nginx"), 0, 'which is found as nginx');
}


# Webhooks and clusters are what a module has not that was built without the
# headers of libcurl and hiredis.

sub test_without_libraries {
    my $root = repository('no-libraries');
    my $none = "$dir/none";
    my $run = "$dir/no-libraries-run";

    spew("$none/$_", "#error none\n") for qw(curl/curl.h hiredis/hiredis.h);

    my ($status, $text) = output("CPATH=$none $root/t/tools/build.sh");

    is($status, 0, 'without the headers of libcurl and hiredis it builds')
        or diag($text);

    my ($nginx) = grep { -x } "$root/build/src-objs/nginx",
                  map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin';
    my $try = sub {
        my ($app, $http) = @_;

        spew("$run/nginx.conf", <<"END");
load_module $root/build/ngx_chat_module.so;
pid nginx.pid;
events { }
http {
    access_log off;
    chat_database $run/data/chat.db;
    chat_app 1 {
        key k; secret s;
        $app
    }
    $http
}
END
        return output("$nginx -t -e stderr -p $run -c $run/nginx.conf");
    };

    ($status, $text) = $try->('', '');
    is($status, 0, 'and serves') or diag($text);

    ($status, $text) = $try->('webhook http://localhost/;', '');
    is($status, 1, 'nginx -t refuses webhook');
    like($text, qr/"webhook".* is not available: .*without libcurl in .*:9$/m,
         'and says why');

    ($status, $text) = $try->('', 'chat_cluster redis://127.0.0.1;');
    is($status, 1, 'nginx -t refuses chat_cluster');
    like($text, qr/"chat_cluster".* is not available: .*without hiredis in/,
         'and says why');
}


# A package with what is called promtool, or without it.

sub package_of {
    my ($pool, $name, $has) = @_;

    my $tree = "$dir/tree";

    File::Path::remove_tree($tree);
    spew("$tree/DEBIAN/control", <<"END");
Package: $name
Version: 1
Architecture: all
Maintainer: nobody <nobody\@example.com>
Description: a test
END
    spew("$tree/usr/bin/" . ($has ? 'promtool' : $name),
         "#!/bin/sh\necho $name\n", 0755);

    File::Path::make_path($pool);
    run("dpkg-deb -b $tree $pool/${name}_1_all.deb > $dir/dpkg.log");
}


# All commands that promtool.sh may find: no installed promtool, and an
# apt-get that has the packages of a pool, or those of "new" once its lists
# are new.

sub commands {
    my ($pool) = @_;

    my $bin = "$pool-bin";

    File::Path::make_path($bin);

    for my $name (qw(cat dirname dpkg-deb id mkdir mv rm sh tar)) {
        my ($path) = grep { -x } map { "$_/$name" } split /:/, $ENV{PATH};

        symlink $path, "$bin/$name" or die "symlink $bin/$name: $!";
    }

    spew("$bin/apt-get", <<"END", 0755);
#!/bin/sh
for name; do :; done
PATH=$ENV{PATH}

if [ "\$name" = update ]; then
    cp $pool/new/*.deb $pool/
    exit
fi

cp $pool/"\$name"_*.deb . 2> /dev/null && exit
echo "E: Unable to locate package \$name" >&2
exit 100
END

    return $bin;
}


sub test_promtool {
    my ($name, $want, %has) = @_;

    my $root = repository($name);
    my $pool = "$dir/$name-pool";

    File::Path::make_path("$pool/new");
    package_of("$pool/" . dirname($_), s{^.*/}{}r, $has{$_}) for keys %has;

    my $bin = commands($pool);
    my ($status, $text) = output("PATH=$bin $root/t/tools/promtool.sh");

    if (!defined $want) {
        is($status, 1, "$name: fails");
        like($text, qr/^E: Unable .* promtool\n.*^Missing: promtool/ms,
             "$name: and says why");
        return;
    }

    is($status, 0, "$name: is fetched");
    is($text, "== fetching promtool (of Debian's prometheus)\n",
       "$name: and nothing is said of what it was not in");

    ($status, $text) = output("$root/build/promtool/promtool");
    is($text, "$want\n", "$name: from $want");
}


test_promtool('debian-12', 'prometheus', './prometheus' => 1);
test_promtool('debian-13', 'promtool', './prometheus' => 0,
              './promtool' => 1);
test_promtool('old-lists', 'promtool', './prometheus' => 0,
              'new/promtool' => 1);
test_promtool('no-debian', undef, './prometheus' => 0);

test_tree();
test_without_libraries();

done_testing();
