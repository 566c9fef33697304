//! Changing one's own password.

use crate::{
    api,
    components::{Button, Dialog, ErrorBox, Field, Kind, field::error_of, toast},
    i18n::lang,
    state::ui,
    texts,
};
use edgedeck_model::{
    Problem,
    api::{ChangePassword, ChangePasswordBody},
    name::check_password,
};
use leptos::prelude::*;

texts! {
    TITLE: "修改密码", "Change password";
    OLD: "当前密码", "Present password";
    NEW: "新密码", "New password";
    AGAIN: "再次输入新密码", "New password again";
    HELP: "8 到 128 个字符。", "8 to 128 characters.";
    DIFFERENT: "两次输入的新密码不同", "The two new passwords differ";
    SAVE: "修改", "Change";
    DONE: "密码已修改。", "The password is changed.";
}

#[component]
pub fn ChangePasswordDialog() -> impl IntoView {
    let open = ui().password;
    view! {
        <Dialog open=open title=TITLE test="password-dialog">
            <PasswordForm open=open/>
        </Dialog>
    }
}

#[component]
fn PasswordForm(open: RwSignal<bool>) -> impl IntoView {
    let [old, new, again] = [(); 3].map(|()| RwSignal::new(String::new()));
    let (busy, problem) = (RwSignal::new(false), RwSignal::new(None::<Problem>));
    let new_error = Signal::derive(move || {
        let refused = new.with(|new| (!new.is_empty()).then(|| check_password(new).err()).flatten());
        refused.and_then(|refused| error_of(&refused, "password", lang()))
    });
    let again_error = Signal::derive(move || {
        (!again.with(String::is_empty) && again.get() != new.get()).then(|| DIFFERENT.get().to_owned())
    });
    let unfit = Signal::derive(move || {
        old.with(String::is_empty) || new.with(|new| check_password(new).is_err()) || again.get() != new.get()
    });
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() || unfit.get_untracked() {
            return;
        }
        busy.set(true);
        let body = ChangePasswordBody {
            old: old.get_untracked(),
            new: new.get_untracked(),
        };
        leptos::task::spawn_local(async move {
            let answer = api::call::<ChangePassword>((), &(), &body).await;
            busy.try_set(false);
            match answer {
                Ok(()) => {
                    open.set(false);
                    toast(DONE.get_untracked());
                }
                Err(refused) => _ = problem.try_set(Some(refused)),
            }
        });
    };
    view! {
        <form class="form" on:submit=submit>
            <Field label=OLD value=old kind="password" autocomplete="current-password" focus=true test="old-password"/>
            <Field label=NEW value=new kind="password" autocomplete="new-password" help=HELP error=new_error test="new-password"/>
            <Field label=AGAIN value=again kind="password" autocomplete="new-password" error=again_error test="new-password-again"/>
            {move || problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            <footer class="dialog-foot">
                <Button label=SAVE kind=Kind::Primary submit=true busy=busy disabled=unfit test="save-password"/>
            </footer>
        </form>
    }
}
