//! Every sentence of the doctor's, in English and in Chinese. A detail in braces is put in as it is; both languages use every one.

use crate::http::Text;

macro_rules! texts {
    ($($name:ident($($detail:ident),*): $en:literal, $zh:literal;)*) => {
        $(
            pub(super) fn $name($($detail: impl Into<Text>),*) -> Text {
                $(let $detail = $detail.into();)*
                Text {
                    en: { $(let $detail = &$detail.en;)* format!($en) },
                    zh: { $(let $detail = &$detail.zh;)* format!($zh) },
                }
            }
        )*

        /// Every text, with the names of its details in their places.
        #[cfg(test)]
        pub(super) fn every() -> Vec<(&'static str, Text)> {
            vec![$((stringify!($name), $name($(concat!("<", stringify!($detail), ">")),*))),*]
        }
    };
}

texts! {
    ok(): "ok", "正常";
    warning(): "warning", "警告";
    problem(): "problem", "问题";
    all_well(): "All is well.", "一切正常。";
    works_with_warnings(warnings): "It works; warnings: {warnings}.", "可以运行，警告 {warnings} 项。";
    has_problems(problems, warnings):
        "It cannot do its work yet; problems: {problems}, warnings: {warnings}.",
        "暂时无法正常工作：问题 {problems} 项，警告 {warnings} 项。";

    configuration(): "configuration", "配置";
    config_right(): "it loads, without a warning", "加载成功，没有警告";
    config_warnings(all): "it loads; {all}", "加载成功；{all}";
    config_warnings_cure(): "Change these keys in the configuration file.", "请修改配置文件中的这些键。";
    config_wrong(all): "{all}", "{all}";
    config_wrong_cure():
        "Correct what is named here, and run `webai2api config check`; the checks that hang on the configuration were left out.",
        "请更正上述内容，再运行 `webai2api config check`；依赖配置的检查已略过。";

    chromium(): "Chromium", "Chromium";
    chromium_starts(path, version, ms): "{path}, {version}, starts in {ms} ms", "{path}，{version}，启动用时 {ms} 毫秒";
    chromium_served(): "the server that runs has one, and it is ready", "正在运行的服务器已启动浏览器，且已就绪";
    chromium_served_not(state, reason):
        "the server that runs has none that is ready ({state}): {reason}",
        "正在运行的服务器没有可用的浏览器（{state}）：{reason}";
    chromium_served_not_cure(): "Look at the server's log.", "请查看服务器日志。";
    chromium_missing(reason): "{reason}", "{reason}";
    chromium_missing_cure():
        "Install Chromium (Debian: `apt install chromium`), or set `browser.path` to the one to use.",
        "请安装 Chromium（Debian：`apt install chromium`），或将 `browser.path` 设为要使用的浏览器。";
    chromium_old(reason, least): "{reason} (at least {least})", "{reason}（至少需要 {least}）";
    chromium_old_cure(): "Install a newer Chromium.", "请安装更新版本的 Chromium。";
    chromium_fails(path, reason): "{path} does not start: {reason}", "{path} 无法启动：{reason}";
    chromium_fails_cure():
        "Start it by hand with `--headless --dump-dom about:blank` to see why; mostly a library or memory is missing.",
        "请手动运行并加上 `--headless --dump-dom about:blank` 查看原因；通常是缺少依赖库或内存不足。";
    chromium_slow(path, seconds):
        "{path} was not up within {seconds} s",
        "{path} 在 {seconds} 秒内没有启动完成";
    chromium_slow_cure():
        "Give the machine more processor time or memory, and try again.",
        "请为机器提供更多处理器时间或内存，然后重试。";
    no_display():
        "`browser.headless` is false, and there is no screen here",
        "`browser.headless` 为 false，但这里没有显示器";
    no_display_cure(): "Set `browser.headless: true`.", "请设置 `browser.headless: true`。";

    sandbox(): "sandbox", "沙箱";
    sandbox_on(): "Chromium runs in its sandbox", "Chromium 在其沙箱中运行";
    sandbox_root(): "Chromium runs without its sandbox, because this program runs as root", "本程序以 root 运行，因此 Chromium 未使用沙箱";
    sandbox_root_cure(): "Run the program as another user than root.", "请以非 root 用户运行本程序。";
    sandbox_off(): "it is switched off by `browser.sandbox: off`", "已通过 `browser.sandbox: off` 关闭";
    sandbox_off_cure(): "Set `browser.sandbox: auto`.", "请设置 `browser.sandbox: auto`。";
    sandbox_none():
        "the system does not allow it: Chromium runs without its sandbox",
        "系统不允许使用沙箱：Chromium 未使用沙箱运行";
    sandbox_none_cure():
        "Allow user namespaces (`sysctl kernel.unprivileged_userns_clone=1`, an AppArmor profile, or Docker's `--security-opt seccomp=...`).",
        "请允许用户命名空间（`sysctl kernel.unprivileged_userns_clone=1`、AppArmor 配置，或 Docker 的 `--security-opt seccomp=...`）。";

    shared_memory(): "shared memory", "共享内存";
    shared_memory_is(folder, free): "in {folder}, {free} free", "位于 {folder}，可用 {free}";
    shared_memory_full(folder, free): "{folder} has only {free} free", "{folder} 仅剩 {free} 可用";
    shared_memory_cure():
        "Free space there: Chromium keeps what its processes share in this folder, and not in /dev/shm.",
        "请在该目录释放空间：Chromium 的进程间共享数据存放于此，而不在 /dev/shm。";
    shared_memory_none(folder, reason): "{folder} cannot be written: {reason}", "{folder} 无法写入：{reason}";
    shared_memory_none_cure(): "Make it writable, or name another by TMPDIR.", "请使其可写，或通过 TMPDIR 指定其他目录。";

    port(): "port", "端口";
    port_free(address): "{address} is free", "{address} 空闲";
    port_any(): "0: a free one is taken at the start", "0：启动时使用任一空闲端口";
    port_ours(address, state): "{address} is this server's, which runs and is {state}", "{address} 由正在运行的本服务器使用，状态为 {state}";
    port_taken(address): "{address} is in use by another program", "{address} 被其他程序占用";
    port_taken_cure(): "End that program, or choose another port with PORT, `server.port` or `--port`.", "请结束该程序，或通过 PORT、`server.port`、`--port` 选择其他端口。";
    port_not_ours(address, reason): "{address} cannot be listened on: {reason}", "无法监听 {address}：{reason}";
    port_not_ours_cure(): "Set `server.host` to an address of this machine, or choose another port.", "请将 `server.host` 设为本机地址，或选择其他端口。";

    data_folder(): "data folder", "数据目录";
    folder_good(path, kind): "{path}, writable, on {kind}", "{path}，可写，文件系统为 {kind}";
    folder_new(path, kind): "{path} will be made at the first start, on {kind}", "{path} 将在首次启动时创建，文件系统为 {kind}";
    folder_served(path, kind): "{path}, held by the server that runs, on {kind}", "{path}，由正在运行的服务器占用，文件系统为 {kind}";
    folder_held(path): "{path} is in use by another webai2api", "{path} 正被另一个 webai2api 使用";
    folder_held_cure(): "Give each its own with WEBAI_DATA_DIR.", "请通过 WEBAI_DATA_DIR 为每个实例指定各自的目录。";
    folder_unusable(path, reason): "{path} cannot be used: {reason}", "{path} 无法使用：{reason}";
    folder_unusable_cure(): "Make it writable for this user, or choose another with WEBAI_DATA_DIR.", "请使当前用户可写，或通过 WEBAI_DATA_DIR 选择其他目录。";
    folder_network(path, kind): "{path} is on {kind}, a network or user-space mount", "{path} 位于 {kind}（网络或用户态挂载）";
    folder_network_cure():
        "Choose a folder on a local disk with WEBAI_DATA_DIR: SQLite and browser profiles are damaged on such a mount.",
        "请通过 WEBAI_DATA_DIR 选择本地磁盘上的目录：SQLite 和浏览器配置在此类挂载上会损坏。";
    folder_memory(path, kind): "{path} is on {kind}: all of it is lost when the machine stops", "{path} 位于 {kind}：关机后数据全部丢失";
    folder_memory_cure(): "Choose a folder on a disk with WEBAI_DATA_DIR.", "请通过 WEBAI_DATA_DIR 选择磁盘上的目录。";
    file_in_its_place(): "there is a file in its place", "该位置已有一个文件";
    a_file_system(number): "a file system of kind {number}", "类型为 {number} 的文件系统";

    disk(): "disk", "磁盘";
    disk_free(free): "{free} free", "可用 {free}";
    disk_cure(): "Free some space: a browser profile and the history need a gigabyte.", "请释放空间：浏览器配置和历史记录约需 1 GB。";
    disk_files(): "no more files can be made on it", "无法再创建文件";
    disk_files_cure(): "Remove files: the file system has no inode left.", "请删除文件：文件系统的 inode 已用尽。";
    disk_unknown(reason): "its free space cannot be read: {reason}", "无法读取可用空间：{reason}";
    disk_unknown_cure(): "Check the mount of the data folder.", "请检查数据目录的挂载。";

    fonts(): "fonts", "字体";
    fonts_good(): "Chinese, Japanese, Korean and emoji", "包含中日韩字体和表情符号";
    fonts_missing(which): "no font for {which}: pages show boxes in their place", "缺少 {which} 字体：页面会显示方框";
    fonts_cjk(): "Chinese, Japanese and Korean", "中日韩";
    fonts_emoji(): "emoji", "表情符号";
    fonts_both(): "Chinese, Japanese, Korean and emoji", "中日韩和表情符号";
    fonts_cure():
        "Install them (Debian: `apt install fonts-wqy-microhei fonts-noto-color-emoji`).",
        "请安装字体（Debian：`apt install fonts-wqy-microhei fonts-noto-color-emoji`）。";

    memory(): "memory", "内存";
    memory_is(free, limit, source): "{free} of {limit} free ({source})", "共 {limit}，可用 {free}（{source}）";
    memory_machine(): "the machine's", "本机";
    memory_cgroup(): "the container's limit", "容器限制";
    memory_configured(): "`limits.memory`", "`limits.memory`";
    memory_cure():
        "Give it more memory, or set `browser.fission: false` and `adapters.pages: 1`: a browser with one chat page takes about 450 MiB.",
        "请增加内存，或设置 `browser.fission: false` 和 `adapters.pages: 1`：打开一个对话页面的浏览器约占 450 MiB。";
    memory_unknown(): "the system does not tell", "系统未提供内存信息";
    memory_unknown_cure(): "Set `limits.memory`, so that memory can be guarded.", "请设置 `limits.memory`，以便进行内存保护。";

    clock(): "clock", "时钟";
    clock_good(now): "{now}, steady", "{now}，走时稳定";
    clock_year(now): "it says {now}", "显示为 {now}";
    clock_behind(now, newest): "it says {now}, but a file of the data folder is of {newest}", "显示为 {now}，但数据目录中有文件的时间为 {newest}";
    clock_jumps(ms): "it was set by {ms} ms while it was looked at", "检查期间被调整了 {ms} 毫秒";
    clock_cure(): "Set the clock (`timedatectl set-ntp true`): certificates and sign-ins depend on it.", "请校准时钟（`timedatectl set-ntp true`）：证书和登录依赖正确的时间。";

    adapters(): "adapters", "适配器";
    adapters_serve(all): "{all}", "{all}";
    adapters_files(all): "{all}, as far as their files tell", "{all}（仅依据文件判断）";
    adapters_none(folders): "there is none in {folders}", "{folders} 中没有适配器";
    adapters_none_cure(): "Build them with `make adapters`, or name their folder by WEBAI_BUNDLED.", "请用 `make adapters` 构建，或通过 WEBAI_BUNDLED 指定其目录。";
    adapters_broken(all): "not usable: {all}", "无法使用：{all}";
    adapters_broken_cure(): "Replace or remove what is named here; `webai2api adapter check` says more.", "请替换或删除上述文件；`webai2api adapter check` 可查看详情。";
    adapters_pending(all): "waiting for approval: {all}", "等待批准：{all}";
    adapters_pending_cure(): "Look at what they ask for and grant it with `webai2api adapter approve <id>`.", "请查看其申请的权限，并用 `webai2api adapter approve <id>` 批准。";
    adapters_absent(all): "there is no {all}", "没有这些适配器：{all}";
    adapters_absent_cure():
        "Install what these workers want (`webai2api adapter install`), or correct their `type` under backend.pool.",
        "请安装这些 worker 所需的适配器（`webai2api adapter install`），或更正 backend.pool 下的 `type`。";
    adapters_quarantined(all): "out of use: {all}", "已停用：{all}";
    adapters_quarantined_cure(): "Read its log (`webai2api adapter logs <id>`), then enable or replace it.", "请查看其日志（`webai2api adapter logs <id>`），然后启用或替换。";
    adapters_lock(reason): "adapters.lock cannot be read: {reason}", "无法读取 adapters.lock：{reason}";
    adapters_lock_cure(): "Remove the file and approve anew; until then nothing counts as approved.", "请删除该文件并重新批准；在此之前一律视为未批准。";
    adapters_silent(reason): "the server that runs does not tell: {reason}", "正在运行的服务器没有给出信息：{reason}";
    adapters_silent_cure(): "Give its admin key by WEBAI_KEY.", "请通过 WEBAI_KEY 提供管理员密钥。";

    accounts(): "accounts", "账号";
    account_used(name, when): "{name}: a profile, last used {when}", "{name}：已有配置，最近使用于 {when}";
    account_signed_in(of): "{of}: signed in", "{of}：已登录";
    account_signed_out(of): "{of}: nobody is signed in", "{of}：尚未登录";
    account_signed_out_cure():
        "Sign in with `webai2api login`, or import an account (docs/accounts.md).",
        "请用 `webai2api login` 登录，或导入账号（见 docs/accounts.zh-CN.md）。";
    account_challenge(of): "{of}: the site asks for a check by a person", "{of}：网站要求人工验证";
    account_challenge_cure():
        "Pass it in a window: `webai2api login`.",
        "请在窗口中完成验证：`webai2api login`。";
    account_limited(of, minutes): "{of}: the site's limit is reached, {minutes} more minutes", "{of}：已达网站限额，还需 {minutes} 分钟";
    account_limited_cure():
        "Nothing asks it until then; add another account if that is too often.",
        "在此之前不会使用该账号；若经常如此，请添加其他账号。";
    account_unknown(of): "{of}: the site does not say who is signed in, or was not asked yet", "{of}：网站未说明登录状态，或尚未检查";
    account_new(name): "{name}: no profile yet, it is made at the first start", "{name}：尚无配置，首次启动时创建";
}
