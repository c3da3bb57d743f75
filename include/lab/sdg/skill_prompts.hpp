// The wordings for skills: LAB's four roles (question generator, question judge, responder, pair judge; arXiv
// 2403.01081, section 3.2.1), conversations, personas, and the operations of Evol-Instruct (arXiv 2304.12244). All are
// written for this project; a pack (prompt_pack.hpp) may put others in their place.
#pragma once

#include "lab/sdg/wording.hpp"

namespace lab::sdg::prompts {

using question_writer = wording<
    "question_writer",
    "You write exercises for a course. A good exercise belongs to the task and can be done by somebody who sees "
    "nothing but its text. Its subject and its wording are unlike those of the examples; its form and length "
    "are like theirs. It asks for nothing that takes eyes, ears, hands or the internet, and it harms nobody. "
    "Reply with the exercise alone.",
    "The system message of the question generator.">;
using write_exercise = wording<"write_exercise", "Task: {{task}}\nWrite one more exercise.",
                               "Asks for an exercise of a leaf, after that leaf's seeds as examples.">;
using write_any_exercise = wording<"write_any_exercise", "Write one more exercise.",
                                   "Asks for an exercise after examples from all leaves (self-instruct).">;
using write_context = wording<"write_context", "Task: {{task}}\nWrite one more text to work on.",
                              "Asks for the text that exercises are about, after the seeds' texts as examples.">;
using ask_of_context = wording<"ask_of_context", "Task: {{task}}\n\n{{context}}\n\nWrite one exercise about this text.",
                               "Asks for an exercise about a text, after the seeds as examples.">;
using write_follow_up = wording<
    "write_follow_up",
    "Task: {{task}}\n\nA conversation:\n\n{{conversation}}\n\nWrite what the user says next. It goes on from the "
    "last answer, asks for something new, and can be answered from what was said.",
    "Asks for the next question of a conversation.">;
using choose_persona =
    wording<"choose_persona",
            "Task: {{task}}\nFor example: {{question}}\n\nWho should answer? precise: there is one right answer, or a "
            "way to work it out. creative: many answers are good, and imagination makes them better. Reply precise or "
            "creative.",
            "Asks which of the two personas suits a leaf.">;

// Judges. The grades come in a different order each time that a judge is asked again.
using judge_question =
    wording<"judge_question",
            "Somebody wrote an exercise for this task: {{task}}\n\nThe exercise:\n{{question}}\n\nHow fit is it for "
            "use?\n{{grades}}\nReply with the number alone.",
            "A judge of a question before it is answered.">;
using judge_answer =
    wording<"judge_answer",
            "Task: {{task}}\n\n{{question}}\n\nThe answer that was given:\n{{answer}}\n\nBe strict. How good is the "
            "answer?\n{{grades}}\nReply with the number alone.",
            "A judge of question and answer together.">;
using judge_answer_in_context =
    wording<"judge_answer_in_context",
            "Task: {{task}}\n\nThe text:\n{{context}}\n\nAsked about it: {{question}}\n\nThe answer that was "
            "given:\n{{answer}}\n\nBe strict, and count nothing as true that the text does not say. How good is the "
            "answer?\n{{grades}}\nReply with the number alone.",
            "A judge of question and answer by a text alone.">;
using judge_harmless = wording<"judge_harmless",
                               "{{text}}\n\nIs this text harmless, polite and free of private data?\n{{grades}}\nReply "
                               "YES or NO.",
                               "A judge of what may be said at all.">;
using judge_harder =
    wording<"judge_harder",
            "First exercise:\n{{context}}\n\nSecond exercise:\n{{question}}\n\nDoes the second ask for more than the "
            "first, or for something else?\n{{grades}}\nReply YES or NO.",
            "A judge of whether an evolved exercise differs from the one it came from.">;

using exercise_changer =
    wording<"exercise_changer",
            "You change exercises. What you write makes sense by itself, can be done by somebody who sees nothing but "
            "its text, and never mentions that it was changed. Reply with the exercise alone.",
            "The system message for evolving an exercise.">;
using change_exercise = wording<"change_exercise",
                                "Task: {{task}}\n\nAn exercise:\n{{exercise}}\n\n{{change}} Use at most twenty words "
                                "more than it has.",
                                "Asks for an exercise changed in one way.">;
using change_constraint = wording<"change_constraint", "Add one condition that the answer has to meet.",
                                  "In-depth evolving: one more constraint.">;
using change_deepen = wording<"change_deepen", "Let it go further into its matter: ask for what lies beneath.",
                              "In-depth evolving: deepening.">;
using change_concretise =
    wording<"change_concretise", "Put something particular in the place of what is general in it.",
            "In-depth evolving: concretising.">;
using change_reasoning =
    wording<"change_reasoning", "Make it need several steps of thought, one building on another, where it needs few.",
            "In-depth evolving: more reasoning.">;
using change_input = wording<"change_input", "Give it material to work on: a table, a list, a formula or some code.",
                             "In-depth evolving: a more complicated input.">;
using change_breadth =
    wording<"change_breadth",
            "Write another exercise of the same field on a rarer subject, about as long and as hard as this one.",
            "In-breadth evolving: a new exercise from the same field.">;

// Grades: what stands before the sign is what a judge chooses from, and stays as it is.
using question_grades =
    wording<"question_grades",
            "1 => of no use: not of this task, broken off, harmful, or nothing that can be done in writing\n"
            "2 => of use\n"
            "3 => clear, complete and just what the task is about",
            "What a judge of a question chooses from.", form::grades>;
using answer_grades = wording<"answer_grades",
                              "1 => wrong, incomplete, beside the question, or harmful\n"
                              "2 => right, but thin or badly put\n"
                              "3 => right, complete and well put",
                              "What a judge of an answer chooses from.", form::grades>;
using yes_grades =
    wording<"yes_grades", "YES => quite so\nNO => not so", "What a judge of one thing chooses from.", form::grades>;

using skill_wordings =
    wording_list<question_writer, write_exercise, write_any_exercise, write_context, ask_of_context, write_follow_up,
                 choose_persona, judge_question, judge_answer, judge_answer_in_context, judge_harmless, judge_harder,
                 exercise_changer, change_exercise, change_constraint, change_deepen, change_concretise,
                 change_reasoning, change_input, change_breadth, question_grades, answer_grades, yes_grades>;

}  // namespace lab::sdg::prompts
